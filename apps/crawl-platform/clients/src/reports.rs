//! The report service of the projects service, over gRPC.

use crate::{
    Error,
    grpc::{Grpc, Options},
    proto::reports::{SyncProjectRequest, SyncSchemaRequest, report_service_client::ReportServiceClient},
};

/// A client of the report service. Each call changes something once under its key.
#[derive(Clone, Debug)]
pub struct Reports(Grpc);

impl Reports {
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
        Grpc::new("the report service", options).map(Self)
    }

    fn client(&self) -> ReportServiceClient<tonic::transport::Channel> {
        ReportServiceClient::new(self.0.channel.clone())
    }

    /// Gives it the schema, a JSON Schema, that was generated for a report. An older version than what it has changes
    /// nothing. The version that it has then.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is a report that is not there.
    pub async fn sync_schema(
        &self,
        key: &str,
        report_id: &str,
        version: u64,
        schema: &serde_json::Value,
    ) -> Result<u64, Error> {
        let request = SyncSchemaRequest {
            report_id: report_id.to_owned(),
            version,
            schema: schema.to_string(),
        };
        let mut client = self.client();
        let sync = async move |r| client.sync_schema(r).await;
        let answer = self
            .0
            .call("sync the schema of a report", Some(key), request, sync)
            .await?;
        Ok(answer.version)
    }

    /// Has a project written to the search index. The id of its object there.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is a project that is not there.
    pub async fn sync_project(&self, key: &str, project_id: &str) -> Result<String, Error> {
        let request = SyncProjectRequest {
            project_id: project_id.to_owned(),
        };
        let mut client = self.client();
        let sync = async move |r| client.sync_project(r).await;
        let answer = self
            .0
            .call("sync a project to the search index", Some(key), request, sync)
            .await?;
        Ok(answer.object_id)
    }
}
