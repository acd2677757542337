//! A site to be crawled: a bookshop with so many books, ten on a page.

use axum::{
    Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;

/// Books on one page of the list.
const ON_A_PAGE: u32 = 10;

/// The shop with so many books.
pub fn router(books: u32) -> Router {
    Router::new()
        .route("/", get(list))
        .route("/books/{number}", get(book))
        .with_state(books)
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    page: u32,
}

async fn list(State(books): State<u32>, Query(Page { page }): Query<Page>) -> Html<String> {
    let from = page.saturating_mul(ON_A_PAGE);
    let to = from.saturating_add(ON_A_PAGE).min(books);
    let items: String = (from..to)
        .map(|number| format!("<li><a href=\"/books/{number}\">Book {number}</a></li>"))
        .collect();
    let next = if to < books {
        format!("<a href=\"/?page={}\">next</a>", page + 1)
    } else {
        String::new()
    };
    Html(format!(
        "<!doctype html><title>Bookshop</title><ul>{items}</ul>{next}"
    ))
}

async fn book(State(books): State<u32>, Path(number): Path<u32>) -> Response {
    if number >= books {
        return StatusCode::NOT_FOUND.into_response();
    }
    let (euros, cents) = (5 + number % 20, number % 100);
    Html(format!(
        "<!doctype html><title>Book {number}</title><h1 itemprop=\"name\">Book {number}</h1>\
        <p itemprop=\"author\">Author {}</p><meta itemprop=\"price\" content=\"{euros}.{cents:02}\"><a href=\"/\">all</a>",
        number % 7
    ))
    .into_response()
}
