//! `GET /`: the page that lists executions. No script, no other origin.

use axum::{
    extract::{Query, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use temporalio_client::Client;
use url::form_urlencoded;

use super::{
    executions::{Execution, Page, Params, page},
    problem::Problem,
};

const STYLE: &str = include_str!("style.css");
/// Nothing but the page itself and its style sheet.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";
/// Ready-made queries: label and query.
const VIEWS: [(&str, &str); 4] = [
    ("All", ""),
    ("Running", "ExecutionStatus = 'Running'"),
    ("Completed", "ExecutionStatus = 'Completed'"),
    ("Dead letters", "ExecutionStatus = 'Failed'"),
];

/// The page, with the executions that the query asks for.
pub(super) async fn get(State(client): State<Client>, Query(params): Query<Params>) -> Response {
    let listed = page(&client, &params).await;
    let status = match &listed {
        Ok(_) => axum::http::StatusCode::OK,
        Err(problem) => problem.status(),
    };
    let mut response = (status, render(&params, &listed).into_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The style sheet.
pub(super) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE)
}

fn render(params: &Params, listed: &Result<Page, Problem>) -> Markup {
    let query = params.query.as_deref().unwrap_or_default();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Executions · Segno" }
                link rel="stylesheet" href="/style.css";
            }
            body {
                header {
                    h1 { "Segno" }
                    nav { a href="/api-docs" { "API" } }
                }
                main {
                    nav.views aria-label="Views" {
                        @for (label, view) in VIEWS {
                            a href=(list_url(view, None)) aria-current=[(view == query).then_some("page")] { (label) }
                        }
                    }
                    form method="get" action="/" role="search" {
                        label for="query" { "Query" }
                        input #query name="query" value=(query) spellcheck="false"
                            placeholder="SegnoRoute = 'big-orders' AND ExecutionStatus = 'Failed'";
                        button { "List" }
                    }
                    @match listed {
                        Ok(page) => (table(page, query)),
                        Err(problem) => p.problem role="alert" { (problem.detail()) },
                    }
                }
            }
        }
    }
}

fn table(page: &Page, query: &str) -> Markup {
    html! {
        @if page.executions.is_empty() {
            p { "No executions." }
        } @else {
            div.scroll {
                table {
                    caption { "Executions, newest first" }
                    thead {
                        tr {
                            th scope="col" { "Status" }
                            th scope="col" { "Execution" }
                            th scope="col" { "Route or type" }
                            th scope="col" { "Event type" }
                            th scope="col" { "Started" }
                            th scope="col" { "Closed" }
                        }
                    }
                    tbody { @for execution in &page.executions { (row(execution)) } }
                }
            }
        }
        @if let Some(token) = &page.next_page_token {
            p { a rel="next" href=(list_url(query, Some(token))) { "Next page" } }
        }
    }
}

fn row(execution: &Execution) -> Markup {
    html! {
        tr {
            td { span.status data-status=(execution.status) { (execution.status) } }
            td { a href=(detail_url(execution)) { (execution.workflow_id) } }
            td { (execution.route.as_deref().unwrap_or(&execution.ty)) }
            td { (execution.event_type.as_deref().unwrap_or_default()) }
            td { (time(execution.start_time.as_deref())) }
            td { (time(execution.close_time.as_deref())) }
        }
    }
}

fn time(rfc3339: Option<&str>) -> Markup {
    match rfc3339 {
        Some(text) => html! { time datetime=(text) { (text) } },
        None => PreEscaped(String::new()),
    }
}

fn list_url(query: &str, token: Option<&str>) -> String {
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    if !query.is_empty() {
        parameters.append_pair("query", query);
    }
    if let Some(token) = token {
        parameters.append_pair("page_token", token);
    }
    match parameters.finish() {
        parameters if parameters.is_empty() => "/".to_owned(),
        parameters => format!("/?{parameters}"),
    }
}

fn detail_url(execution: &Execution) -> String {
    let parameters = form_urlencoded::Serializer::new(String::new())
        .append_pair("run_id", &execution.run_id)
        .finish();
    format!("{}?{parameters}", execution_path(&execution.workflow_id))
}

/// Path of an execution's page: its id as one segment.
pub(crate) fn execution_path(workflow_id: &str) -> String {
    format!(
        "/executions/{}",
        utf8_percent_encode(workflow_id, NON_ALPHANUMERIC)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment_of_the_path() {
        let path = execution_path("orders/https://shop.example/a%2Fb");
        assert_eq!(
            path,
            "/executions/orders%2Fhttps%3A%2F%2Fshop%2Eexample%2Fa%252Fb"
        );
    }

    #[test]
    fn what_comes_from_outside_is_escaped() {
        let attack = "'\"><script>alert(1)</script>";
        let params = Params {
            query: Some(attack.to_owned()),
            ..Default::default()
        };
        let listed = Ok(Page {
            executions: vec![Execution {
                workflow_id: attack.to_owned(),
                run_id: attack.to_owned(),
                ty: attack.to_owned(),
                status: "Running",
                start_time: None,
                close_time: None,
                route: None,
                event_type: Some(attack.to_owned()),
                event_source: None,
                event_subject: None,
            }],
            next_page_token: Some(attack.to_owned()),
        });
        let page = render(&params, &listed).into_string();
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains(attack), "{page}");
        assert!(page.contains("&lt;script&gt;"), "{page}");
    }
}
