//! Signing in at a provider.

use std::net::Ipv4Addr;

use segno_test_support::free_port;

use super::{Console, looks};
use crate::{oidc::Provider, support::TestEngine};

on_every_engine!(who_has_an_account_at_the_provider_signs_in_there);

async fn who_has_an_account_at_the_provider_signs_in_there(engine: TestEngine) {
    let port = free_port();
    // To a browser the two are different sites: `localhost` and an address.
    let callback = format!("http://127.0.0.1:{port}/session/oidc/callback");
    let provider = Provider::start(free_port(), &callback).await;
    let more = provider.config(&crate::access::tokens(&engine));
    let console = Console::open_at(&engine, &more, (Ipv4Addr::LOCALHOST, port).into()).await;
    let browser = &console.browser;
    looks::is_fit(
        &console,
        "sign-in-at-provider",
        "/sign-in",
        "Sign in at localhost",
    )
    .await;

    console.goto("/routes").await;
    browser.click("a", "Sign in at localhost").await;
    browser.find("h1", "Sign-in").await;
    let fill = "document.querySelector('[name=login]').value = 'ann'; \
                document.querySelector('[name=password]').value = 'any'";
    browser.run(fill, &[]).await;
    browser.click("button", "Sign-in").await;
    browser.click("button", "Continue").await;
    // Back where one wanted to go, in the session of one's own role.
    browser.find("h1", "Routes").await;
    browser.find(".person", "ann@example.com (operator)").await;
    browser.click("button[aria-label='Pause orders']", "").await;
    browser.find("button[aria-label='Resume orders']", "").await;
    browser.click("button", "Sign out").await;
    browser.find("h1", "Sign in").await;
    browser
        .fill("Token", &crate::access::token(segno::access::Role::Viewer))
        .await;
    browser.click("button", "Sign in").await;
    browser.find(".person", "the viewer (viewer)").await;
    console.close().await;
}
