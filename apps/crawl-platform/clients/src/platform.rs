//! The platform's own records: accounts, projects, reports and users, over gRPC.

use crate::{
    Error,
    grpc::{Grpc, Options},
    proto::platform::{
        GetAccountRequest, GetProjectRequest, GetReportRequest, GetUserRequest, ListProjectReportsRequest,
        ListProjectUsersRequest, SetReportRunRequest, get_project_request, get_user_request,
        platform_service_client::PlatformServiceClient,
    },
};

pub use crate::proto::platform::{Account, Project, ProjectUser, Report, ReportRun, Topic, User};

/// Most items that a page is asked for.
const PAGE: u32 = 100;
/// Most pages of one list. A service that gives more gives the same again and again.
const PAGES: usize = 1_000;

/// A client of the platform.
#[derive(Clone, Debug)]
pub struct Platform(Grpc);

impl Platform {
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
        Grpc::new("the platform", options).map(Self)
    }

    fn client(&self) -> PlatformServiceClient<tonic::transport::Channel> {
        PlatformServiceClient::new(self.0.channel.clone())
    }

    /// An account.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is one that is not there.
    pub async fn account(&self, id: &str) -> Result<Account, Error> {
        let request = GetAccountRequest { id: id.to_owned() };
        let mut client = self.client();
        self.0
            .call("get an account", None, request, async move |r| {
                client.get_account(r).await
            })
            .await
    }

    /// A project.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is one that is not there.
    pub async fn project(&self, id: &str) -> Result<Project, Error> {
        self.project_by(get_project_request::By::Id(id.to_owned())).await
    }

    /// The project that is handled by a ticket, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn project_of_ticket(&self, ticket_key: &str) -> Result<Option<Project>, Error> {
        let by = get_project_request::By::TicketKey(ticket_key.to_owned());
        match self.project_by(by).await {
            Err(error) if error.is_not_found() => Ok(None),
            other => other.map(Some),
        }
    }

    async fn project_by(&self, by: get_project_request::By) -> Result<Project, Error> {
        let request = GetProjectRequest { by: Some(by) };
        let mut client = self.client();
        self.0
            .call("get a project", None, request, async move |r| {
                client.get_project(r).await
            })
            .await
    }

    /// All reports of a project.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is a project that is not there.
    pub async fn reports(&self, project_id: &str) -> Result<Vec<Report>, Error> {
        let mut all = Vec::new();
        let mut page_token = String::new();
        for _ in 0..PAGES {
            let request = ListProjectReportsRequest {
                project_id: project_id.to_owned(),
                page_size: PAGE,
                page_token,
            };
            let mut client = self.client();
            let list = async move |r| client.list_project_reports(r).await;
            let page = self
                .0
                .call("list the reports of a project", None, request, list)
                .await?;
            all.extend(page.reports);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        Ok(all)
    }

    /// All users of a project, with what they are subscribed to.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is a project that is not there.
    pub async fn project_users(&self, project_id: &str) -> Result<Vec<ProjectUser>, Error> {
        let mut all = Vec::new();
        let mut page_token = String::new();
        for _ in 0..PAGES {
            let request = ListProjectUsersRequest {
                project_id: project_id.to_owned(),
                page_size: PAGE,
                page_token,
            };
            let mut client = self.client();
            let list = async move |r| client.list_project_users(r).await;
            let page = self
                .0
                .call("list the users of a project", None, request, list)
                .await?;
            all.extend(page.users);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        Ok(all)
    }

    /// A report.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is one that is not there.
    pub async fn report(&self, id: &str) -> Result<Report, Error> {
        let request = GetReportRequest { id: id.to_owned() };
        let mut client = self.client();
        self.0
            .call("get a report", None, request, async move |r| {
                client.get_report(r).await
            })
            .await
    }

    /// A user.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is one who is not there.
    pub async fn user(&self, id: &str) -> Result<User, Error> {
        self.user_by(get_user_request::By::Id(id.to_owned())).await
    }

    /// The user who has this mail address, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn user_of_email(&self, email: &str) -> Result<Option<User>, Error> {
        match self.user_by(get_user_request::By::Email(email.to_owned())).await {
            Err(error) if error.is_not_found() => Ok(None),
            other => other.map(Some),
        }
    }

    async fn user_by(&self, by: get_user_request::By) -> Result<User, Error> {
        let request = GetUserRequest { by: Some(by) };
        let mut client = self.client();
        self.0
            .call("get a user", None, request, async move |r| {
                client.get_user(r).await
            })
            .await
    }

    /// Sets what a report's page shows of its latest run, once under this key.
    ///
    /// # Errors
    ///
    /// [`Error`]; 404 is a report that is not there.
    pub async fn set_report_run(&self, key: &str, report_id: &str, run: ReportRun) -> Result<Report, Error> {
        let request = SetReportRunRequest {
            report_id: report_id.to_owned(),
            run: Some(run),
        };
        let mut client = self.client();
        let set = async move |r| client.set_report_run(r).await;
        self.0
            .call("set the latest run of a report", Some(key), request, set)
            .await
    }
}
