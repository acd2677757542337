//! The support service.

use std::collections::HashMap;

use segno_crawl_clients::proto::support::{
    CreateTicketRequest, CreateTicketResponse, SyncPropertiesRequest, SyncPropertiesResponse,
    SyncTicketRequest, SyncTicketResponse, Target, Ticket, jsm_service_server::JsmService,
};
use serde_json::{Value, json};
use tonic::{Request, Response, Status};

use super::{Shared, State, required};

#[tonic::async_trait]
impl JsmService for Shared {
    async fn sync_ticket(
        &self,
        request: Request<SyncTicketRequest>,
    ) -> Result<Response<SyncTicketResponse>, Status> {
        self.call(
            "SyncTicket",
            request,
            |shared, state, request: SyncTicketRequest| {
                let ticket = read(shared, state, required("ticket_key", &request.ticket_key)?)?;
                state.tickets.insert(ticket.key.clone(), ticket.clone());
                Ok(SyncTicketResponse { ticket: Some(ticket) })
            },
        )
        .await
    }

    async fn sync_properties(
        &self,
        request: Request<SyncPropertiesRequest>,
    ) -> Result<Response<SyncPropertiesResponse>, Status> {
        self.call(
            "SyncProperties",
            request,
            |shared, state, request: SyncPropertiesRequest| {
                let key = required("ticket_key", &request.ticket_key)?;
                let targets: Vec<_> = request.targets().collect();
                if targets.is_empty() || targets.contains(&Target::Unspecified) {
                    return Err(Status::invalid_argument(
                        "targets has to name systems that are known",
                    ));
                }
                let mut ticket = read(shared, state, key)?;
                let properties = properties(state, &ticket);
                if targets.contains(&Target::Jira)
                    && let Some(jira) = &shared.links.jira
                {
                    jira.set_issue_property(key, "platform", json!(properties));
                }
                if targets.contains(&Target::Hubspot)
                    && let Some(hubspot) = &shared.links.hubspot
                {
                    let texts: Vec<_> = properties
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.as_str()))
                        .collect();
                    ticket.hubspot_ticket_id = hubspot.put("tickets", "jira_key", key, &texts);
                }
                state.tickets.insert(ticket.key.clone(), ticket.clone());
                Ok(SyncPropertiesResponse {
                    properties,
                    hubspot_ticket_id: ticket.hubspot_ticket_id,
                })
            },
        )
        .await
    }

    async fn create_ticket(
        &self,
        request: Request<CreateTicketRequest>,
    ) -> Result<Response<CreateTicketResponse>, Status> {
        self.call("CreateTicket", request, |shared, state, request: CreateTicketRequest| {
            let board = required("board", &request.board)?;
            let summary = required("summary", &request.summary)?;
            let key = match &shared.links.jira {
                Some(jira) => {
                    let fields = json!({ "description": document(&request.description), "labels": request.labels });
                    let made = jira.make_issue(board, &request.issue_type, summary, fields);
                    let key = made.ok_or_else(|| Status::failed_precondition(format!("there is no board {board}")))?;
                    let reporter = json!({ "email": request.reporter_email, "name": request.reporter_name });
                    jira.set_issue_property(&key, "reporter", reporter);
                    jira.set_issue_property(&key, "platform", json!(request.properties));
                    key
                }
                None => {
                    state.last_ticket += 1;
                    format!("{board}-{}", state.last_ticket)
                }
            };
            let ticket = Ticket {
                key: key.clone(),
                summary: summary.to_owned(),
                ..Ticket::default()
            };
            state.tickets.insert(key.clone(), ticket);
            Ok(CreateTicketResponse { ticket_key: key })
        })
        .await
    }
}

/// A ticket as Jira has it, or, without a Jira, as it is known.
fn read(shared: &Shared, state: &State, key: &str) -> Result<Ticket, Status> {
    let project = state.projects.values().find(|project| project.ticket_key == key);
    let mut ticket = state.tickets.get(key).cloned().unwrap_or_default();
    match &shared.links.jira {
        Some(jira) => {
            let issue = jira.issue(key);
            let fields =
                &issue.ok_or_else(|| Status::not_found(format!("there is no ticket {key}")))?["fields"];
            ticket.summary = text(&fields["summary"]);
            ticket.status = text(&fields["status"]["name"]);
        }
        None if project.is_none() && ticket.key.is_empty() => {
            return Err(Status::not_found(format!("there is no ticket {key}")));
        }
        None => {}
    }
    key.clone_into(&mut ticket.key);
    ticket.project_id = project.map(|project| project.id.clone()).unwrap_or_default();
    Ok(ticket)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What is written to other systems.
fn properties(state: &State, ticket: &Ticket) -> HashMap<String, String> {
    let mut properties = HashMap::from([
        ("subject".to_owned(), ticket.summary.clone()),
        ("ticket_status".to_owned(), ticket.status.clone()),
    ]);
    if let Some(project) = state.projects.get(&ticket.project_id) {
        properties.insert("project_id".to_owned(), project.id.clone());
        properties.insert("project_name".to_owned(), project.name.clone());
        properties.insert("project_status".to_owned(), project.status.clone());
        if let Some(account) = state.accounts.get(&project.account_id) {
            properties.insert("account_name".to_owned(), account.name.clone());
        }
    }
    properties
}

/// A text's paragraphs.
fn document(text: &str) -> Value {
    let paragraphs = text
        .split("\n\n")
        .filter(|text| !text.trim().is_empty())
        .map(|text| {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            json!({ "type": "paragraph", "content": [{ "type": "text", "text": text }] })
        });
    json!({ "type": "doc", "version": 1, "content": paragraphs.collect::<Vec<_>>() })
}
