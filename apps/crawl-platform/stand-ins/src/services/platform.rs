//! The platform's records.

use segno_crawl_clients::proto::{
    Timestamp,
    platform::{
        Account, GetAccountRequest, GetProjectRequest, GetReportRequest, GetUserRequest,
        ListProjectReportsRequest, ListProjectReportsResponse, ListProjectUsersRequest,
        ListProjectUsersResponse, Project, ProjectUser, Report, SetReportRunRequest, User,
        get_project_request, get_user_request, platform_service_server::PlatformService,
    },
};
use tonic::{Request, Response, Status};

use super::{Shared, State, required};

/// Largest page, and the size of one that says nothing.
const PAGE: usize = 100;

#[tonic::async_trait]
impl PlatformService for Shared {
    async fn get_account(&self, request: Request<GetAccountRequest>) -> Result<Response<Account>, Status> {
        self.call("GetAccount", request, |_, state, GetAccountRequest { id }| {
            let account = state.accounts.get(required("id", &id)?);
            account.cloned().ok_or_else(|| missing("account", &id))
        })
        .await
    }

    async fn get_project(&self, request: Request<GetProjectRequest>) -> Result<Response<Project>, Status> {
        self.call(
            "GetProject",
            request,
            |_, state, GetProjectRequest { by }| match by {
                Some(get_project_request::By::Id(id)) => project(state, &id).cloned(),
                Some(get_project_request::By::TicketKey(key)) => {
                    let mut projects = state.projects.values();
                    projects
                        .find(|project| project.ticket_key == key)
                        .cloned()
                        .ok_or_else(|| missing("project of the ticket", &key))
                }
                None => Err(Status::invalid_argument("id or ticket_key is required")),
            },
        )
        .await
    }

    async fn list_project_reports(
        &self,
        request: Request<ListProjectReportsRequest>,
    ) -> Result<Response<ListProjectReportsResponse>, Status> {
        self.call(
            "ListProjectReports",
            request,
            |_, state, request: ListProjectReportsRequest| {
                project(state, &request.project_id)?;
                let all: Vec<_> = state
                    .reports
                    .values()
                    .filter(|report| report.project_id == request.project_id)
                    .collect();
                let (page, next_page_token) = page(&all, request.page_size, &request.page_token)?;
                Ok(ListProjectReportsResponse {
                    reports: page.iter().map(|report| (*report).clone()).collect(),
                    next_page_token,
                })
            },
        )
        .await
    }

    async fn list_project_users(
        &self,
        request: Request<ListProjectUsersRequest>,
    ) -> Result<Response<ListProjectUsersResponse>, Status> {
        self.call(
            "ListProjectUsers",
            request,
            |_, state, request: ListProjectUsersRequest| {
                project(state, &request.project_id)?;
                let all = state.members.get(&request.project_id).map(Vec::as_slice);
                let (page, next_page_token) =
                    page(all.unwrap_or_default(), request.page_size, &request.page_token)?;
                let users = page.iter().filter_map(|(user, role, topics)| {
                    Some(ProjectUser {
                        user: Some(state.users.get(user)?.clone()),
                        role: role.clone(),
                        subscriptions: topics.iter().map(|topic| i32::from(*topic)).collect(),
                    })
                });
                Ok(ListProjectUsersResponse {
                    users: users.collect(),
                    next_page_token,
                })
            },
        )
        .await
    }

    async fn get_report(&self, request: Request<GetReportRequest>) -> Result<Response<Report>, Status> {
        self.call("GetReport", request, |_, state, GetReportRequest { id }| {
            let report = state.reports.get(required("id", &id)?);
            report.cloned().ok_or_else(|| missing("report", &id))
        })
        .await
    }

    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        self.call("GetUser", request, |_, state, GetUserRequest { by }| {
            let (user, wanted) = match &by {
                Some(get_user_request::By::Id(id)) => (state.users.get(id), id),
                Some(get_user_request::By::Email(email)) => {
                    let mut users = state.users.values();
                    (users.find(|user| user.email.eq_ignore_ascii_case(email)), email)
                }
                None => return Err(Status::invalid_argument("id or email is required")),
            };
            user.cloned().ok_or_else(|| missing("user", wanted))
        })
        .await
    }

    async fn set_report_run(
        &self,
        request: Request<SetReportRunRequest>,
    ) -> Result<Response<Report>, Status> {
        self.call(
            "SetReportRun",
            request,
            |_, state, request: SetReportRunRequest| {
                let run = request
                    .run
                    .ok_or_else(|| Status::invalid_argument("run is required"))?;
                required("run.run_id", &run.run_id)?;
                let id = required("report_id", &request.report_id)?;
                let report = state.reports.get_mut(id).ok_or_else(|| missing("report", id))?;
                let shown = report.latest_run.as_ref();
                let older = shown.is_some_and(|shown| {
                    shown.run_id != run.run_id && began(shown.started_at) > began(run.started_at)
                });
                if !older {
                    report.latest_run = Some(run);
                }
                Ok(report.clone())
            },
        )
        .await
    }
}

fn began(at: Option<Timestamp>) -> (i64, i32) {
    at.map_or((i64::MIN, 0), |at| (at.seconds, at.nanos))
}

fn missing(what: &str, id: &str) -> Status {
    Status::not_found(format!("there is no {what} {id}"))
}

pub(super) fn project<'a>(state: &'a State, id: &str) -> Result<&'a Project, Status> {
    let project = state.projects.get(required("project_id", id)?);
    project.ok_or_else(|| missing("project", id))
}

/// A page of a list, and the token of the next.
fn page<'a, T>(all: &'a [T], size: u32, token: &str) -> Result<(&'a [T], String), Status> {
    let size = match usize::try_from(size) {
        Ok(size) if (1..=PAGE).contains(&size) => size,
        _ => PAGE,
    };
    let start = match token {
        "" => 0,
        token => token
            .parse()
            .map_err(|_| Status::invalid_argument("the page token is not one of ours"))?,
    };
    let rest = all.get(start..).unwrap_or_default();
    let page = &rest[..size.min(rest.len())];
    let more = page.len() < rest.len();
    Ok((
        page,
        if more {
            (start + page.len()).to_string()
        } else {
            String::new()
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let all = [1, 2, 3, 4, 5];
        assert_eq!(page(&all, 2, "").unwrap(), (&all[..2], "2".to_owned()));
        assert_eq!(page(&all, 2, "2").unwrap(), (&all[2..4], "4".to_owned()));
        assert_eq!(page(&all, 2, "4").unwrap(), (&all[4..], String::new()));
        assert_eq!(page(&all, 0, "").unwrap(), (&all[..], String::new()));
        assert_eq!(page(&all, 2, "9").unwrap(), (&[][..], String::new()));
        assert!(page(&all, 2, "x").is_err());
    }
}
