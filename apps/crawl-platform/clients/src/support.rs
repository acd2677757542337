//! The support service: tickets of the service desk, kept beside Jira and HubSpot, over gRPC.

use crate::{
    Error,
    grpc::{Grpc, Options},
    proto::support::{SyncPropertiesRequest, SyncTicketRequest, jsm_service_client::JsmServiceClient},
};

pub use crate::proto::support::{
    CreateTicketRequest as NewTicket, SyncPropertiesResponse as Synced, Target, Ticket,
};

/// A client of the support service. Each call changes something once under its key.
#[derive(Clone, Debug)]
pub struct Support(Grpc);

impl Support {
    /// A client with these options. It connects at the first call.
    ///
    /// # Errors
    ///
    /// When the URL or the token is of no use.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn new(options: &Options) -> Result<Self, Error> {
        Grpc::new("the support service", options).map(Self)
    }

    fn client(&self) -> JsmServiceClient<tonic::transport::Channel> {
        JsmServiceClient::new(self.0.channel.clone())
    }

    /// Has a ticket read from Jira.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is a ticket that is not there.
    pub async fn sync_ticket(&self, key: &str, ticket_key: &str) -> Result<Ticket, Error> {
        let request = SyncTicketRequest {
            ticket_key: ticket_key.to_owned(),
        };
        let mut client = self.client();
        let sync = async move |r| client.sync_ticket(r).await;
        let answer = self.0.call("sync a ticket", Some(key), request, sync).await?;
        Ok(answer.ticket.unwrap_or_default())
    }

    /// Has the properties of a ticket and its project written to these systems.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is a ticket that is not there.
    pub async fn sync_properties(
        &self,
        key: &str,
        ticket_key: &str,
        targets: &[Target],
    ) -> Result<Synced, Error> {
        let request = SyncPropertiesRequest {
            ticket_key: ticket_key.to_owned(),
            targets: targets.iter().map(|target| i32::from(*target)).collect(),
        };
        let mut client = self.client();
        let sync = async move |r| client.sync_properties(r).await;
        self.0
            .call("sync the properties of a ticket", Some(key), request, sync)
            .await
    }

    /// Makes a ticket on a board. Its key.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn create_ticket(&self, key: &str, ticket: NewTicket) -> Result<String, Error> {
        let mut client = self.client();
        let create = async move |r| client.create_ticket(r).await;
        let answer = self.0.call("create a ticket", Some(key), ticket, create).await?;
        Ok(answer.ticket_key)
    }
}
