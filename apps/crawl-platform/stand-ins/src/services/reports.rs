//! The report service of the projects service.

use segno_crawl_clients::proto::reports::{
    SyncProjectRequest, SyncProjectResponse, SyncSchemaRequest, SyncSchemaResponse,
    report_service_server::ReportService,
};
use serde_json::{Map, Value, json};
use tonic::{Request, Response, Status};

use super::{PROJECTS, Shared, platform::project, required};

#[tonic::async_trait]
impl ReportService for Shared {
    async fn sync_schema(
        &self,
        request: Request<SyncSchemaRequest>,
    ) -> Result<Response<SyncSchemaResponse>, Status> {
        self.call("SyncSchema", request, |_, state, request: SyncSchemaRequest| {
            let id = required("report_id", &request.report_id)?;
            let schema: Value = serde_json::from_str(&request.schema)
                .map_err(|error| Status::invalid_argument(format!("schema is no JSON: {error}")))?;
            if !(schema.is_object() || schema.is_boolean()) {
                return Err(Status::invalid_argument(
                    "schema is no JSON Schema, which is an object or a boolean",
                ));
            }
            if !state.reports.contains_key(id) {
                return Err(Status::not_found(format!("there is no report {id}")));
            }
            let kept = state
                .schemas
                .entry(id.to_owned())
                .and_modify(|kept| {
                    if kept.0 < request.version {
                        *kept = (request.version, schema.clone());
                    }
                })
                .or_insert((request.version, schema));
            Ok(SyncSchemaResponse { version: kept.0 })
        })
        .await
    }

    async fn sync_project(
        &self,
        request: Request<SyncProjectRequest>,
    ) -> Result<Response<SyncProjectResponse>, Status> {
        self.call(
            "SyncProject",
            request,
            |shared, state, request: SyncProjectRequest| {
                let project = project(state, &request.project_id)?;
                if let Some(algolia) = &shared.links.algolia {
                    let account = state.accounts.get(&project.account_id);
                    let attributes = Map::from_iter([
                        ("name".to_owned(), json!(project.name)),
                        ("status".to_owned(), json!(project.status)),
                        ("ticket".to_owned(), json!(project.ticket_key)),
                        ("account".to_owned(), json!(account.map(|account| &account.name))),
                        ("metadata".to_owned(), json!(project.metadata)),
                    ]);
                    algolia.set(PROJECTS, &project.id, attributes);
                }
                Ok(SyncProjectResponse {
                    object_id: project.id.clone(),
                })
            },
        )
        .await
    }
}
