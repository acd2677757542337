//! Signing in at a real OpenID Connect provider, and tokens of its that programs send.

use std::{collections::BTreeMap, process::Stdio};

use reqwest::{Client, Method, Response, StatusCode, Url, header};
use segno_test_support::{free_port, node};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep},
};

use crate::{
    access::client,
    support::{App, DEADLINE, Launch, TestEngine, json_of},
};

on_every_engine! {
    a_person_signs_in_at_the_provider,
    tokens_of_the_provider_are_taken,
}

/// A provider; killed when dropped.
pub(crate) struct Provider {
    issuer: String,
    port: u16,
    callback: String,
    _child: Child,
}

impl Provider {
    pub(crate) async fn start(port: u16, callback: &str) -> Self {
        let child = Command::new(node::program())
            .args(["--input-type=module", "-e", include_str!("oidc/provider.mjs")])
            .args([&port.to_string(), callback])
            .current_dir(node::packages())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("the provider starts");
        let issuer = format!("http://localhost:{port}");
        let deadline = Instant::now() + DEADLINE;
        while reqwest::get(format!("{issuer}/jwks")).await.is_err() {
            assert!(Instant::now() < deadline, "no provider within {DEADLINE:?}");
            sleep(std::time::Duration::from_millis(50)).await;
        }
        let callback = callback.to_owned();
        Self {
            issuer,
            port,
            callback,
            _child: child,
        }
    }

    /// Another one in its place, with keys of its own.
    async fn start_again(mut self) -> Self {
        self._child.kill().await.expect("the provider is killed");
        Self::start(self.port, &self.callback).await
    }

    pub(crate) fn config(&self, more: &str) -> String {
        format!(
            "[http.oidc]\nissuer = \"{}\"\nclient_id = \"segno\"\nclient_secret = \"the-secret-of-segno\"\n\
             role_claim = \"groups\"\nroles = {{ operator = [\"segno-operators\"], viewer = [\"segno-viewers\"] }}\n{more}",
            self.issuer
        )
    }

    /// A token for programs: what may be wrong with it, and how it is signed.
    async fn token(&self, kind: &str, algorithm: &str) -> String {
        let resource = format!("urn:{kind}:{algorithm}");
        let form = [
            ("grant_type", "client_credentials"),
            ("resource", resource.as_str()),
            ("scope", "api"),
        ];
        let request = reqwest::Client::new()
            .post(format!("{}/token", self.issuer))
            .basic_auth("robot", Some("the-secret-of-robot"))
            .form(&form);
        let tokens = json_of(request.send().await.unwrap(), StatusCode::OK).await;
        tokens["access_token"].as_str().expect("a token").to_owned()
    }
}

/// A browser: it keeps cookies, by host alone as all are of this machine, and follows where it is sent.
struct Browser {
    http: Client,
    cookies: BTreeMap<String, String>,
}

impl Browser {
    fn new() -> Self {
        Self {
            http: client(),
            cookies: BTreeMap::new(),
        }
    }

    async fn call(&mut self, method: Method, url: &str, form: &[(&str, &str)]) -> Response {
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let mut request = self
            .http
            .request(method, url)
            .header(header::COOKIE, cookies.join("; "));
        if !form.is_empty() {
            request = request.form(form);
        }
        let response = request.send().await.expect("an answer");
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            self.cookies
                .insert(name.to_owned(), rest.split(';').next().unwrap().to_owned());
        }
        response
    }

    /// Calls, and goes where it is sent, as long as that is at this address; then where it would go next, or the last answer.
    async fn follow(
        &mut self,
        method: Method,
        url: &str,
        form: &[(&str, &str)],
        at: &str,
    ) -> Result<Url, Response> {
        let mut response = self.call(method, url, form).await;
        loop {
            if !response.status().is_redirection() {
                return Err(response);
            }
            let location = response.headers()[header::LOCATION].to_str().unwrap().to_owned();
            let next = response.url().join(&location).expect("a URL");
            if !next.as_str().starts_with(at) {
                return Ok(next);
            }
            response = self.call(Method::GET, next.as_str(), &[]).await;
        }
    }

    /// Signs in at the provider as this person, beginning here; where the provider sends the browser back to.
    async fn sign_in(&mut self, app: &App, provider: &Provider, person: &str) -> Url {
        self.sign_in_asking(app, provider, person, |_| {}).await
    }

    /// The same where something changes what the provider is asked.
    async fn sign_in_asking(
        &mut self,
        app: &App,
        provider: &Provider,
        person: &str,
        change: impl FnOnce(&mut BTreeMap<String, String>),
    ) -> Url {
        let begun = self
            .call(Method::GET, &app.url("/session/oidc?next=/executions"), &[])
            .await;
        assert_eq!(begun.status(), StatusCode::SEE_OTHER);
        let location = begun.headers()[header::LOCATION].to_str().unwrap().to_owned();
        let mut location = Url::parse(&location).unwrap();
        let mut asked: BTreeMap<_, _> = location.query_pairs().into_owned().collect();
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(asked["state"].len() >= 43 && asked["nonce"].len() >= 43);
        change(&mut asked);
        location.query_pairs_mut().clear().extend_pairs(asked);
        let page = self
            .follow(Method::GET, location.as_str(), &[], &provider.issuer)
            .await;
        let page = page.expect_err("the provider's page to sign in");
        let (url, form) = (
            page.url().to_string(),
            [("prompt", "login"), ("login", person), ("password", "any")],
        );
        let page = self.follow(Method::POST, &url, &form, &provider.issuer).await;
        let page = page.expect_err("the provider's page to agree");
        let url = page.url().to_string();
        let back = self
            .follow(Method::POST, &url, &[("prompt", "consent")], &provider.issuer)
            .await;
        back.expect("the provider sends the browser back")
    }
}

/// Segno on a port that the provider knows.
async fn start(engine: &TestEngine, more: &str) -> (App, Provider) {
    let (port, http) = (free_port(), free_port());
    let callback = format!("http://127.0.0.1:{http}/session/oidc/callback");
    let provider = Provider::start(port, &callback).await;
    let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, http));
    let app = App::start_with(engine, &provider.config(more), |builder| builder.http(address)).await;
    (app, provider)
}

async fn a_person_signs_in_at_the_provider(engine: TestEngine) {
    let (app, provider) = start(&engine, "").await;
    let mut browser = Browser::new();
    let executions = app.url("/executions");
    assert_eq!(
        browser.call(Method::GET, &executions, &[]).await.status(),
        StatusCode::UNAUTHORIZED
    );
    let ways = json_of(app.get("/session/methods").send().await.unwrap(), StatusCode::OK).await;
    assert_eq!(
        ways,
        json!({ "required": true, "token": false, "oidc": "localhost" })
    );
    let login = app
        .get("/login?next=/executions")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        login.contains("href=\"/session/oidc?next=%2Fexecutions\""),
        "{login}"
    );

    let back = browser.sign_in(&app, &provider, "ann").await;
    assert!(back.as_str().starts_with(&provider.callback), "{back}");
    // In another browser the same address opens nothing, and uses up what was begun.
    let mut other = Browser::new();
    let stolen = other.call(Method::GET, back.as_str(), &[]).await;
    assert_eq!(stolen.status(), StatusCode::UNAUTHORIZED);
    let late = browser.call(Method::GET, back.as_str(), &[]).await;
    assert_eq!(late.status(), StatusCode::UNAUTHORIZED);

    let mut browser = Browser::new();
    let back = browser.sign_in(&app, &provider, "ann").await;
    let page = browser.call(Method::GET, back.as_str(), &[]).await;
    assert_eq!(page.status(), StatusCode::OK);
    let page = page.text().await.unwrap();
    assert!(page.contains("content=\"0; url=/executions\""), "{page}");
    assert_eq!(
        browser.call(Method::GET, &executions, &[]).await.status(),
        StatusCode::OK
    );
    let session = browser.call(Method::GET, &app.url("/session"), &[]).await;
    let session = json_of(session, StatusCode::OK).await;
    assert_eq!(
        (&session["name"], &session["role"]),
        (&json!("ann@example.com"), &json!("operator"))
    );
    // A code is good once.
    assert_eq!(
        browser.call(Method::GET, back.as_str(), &[]).await.status(),
        StatusCode::UNAUTHORIZED
    );

    // What was not asked for from here opens nothing: another state, a token of another sign-in.
    let mut browser = Browser::new();
    let mut back = browser.sign_in(&app, &provider, "ann").await;
    let pairs: Vec<_> = back.query_pairs().into_owned().collect();
    let pairs = pairs.into_iter().map(|(name, value)| match name.as_str() {
        "state" => (name, value.chars().rev().collect()),
        _ => (name, value),
    });
    back.set_query(None);
    let back = back.query_pairs_mut().extend_pairs(pairs).finish().to_string();
    refused(&mut browser, &back, "this sign-in was not begun in this browser").await;
    let mut browser = Browser::new();
    let change = |asked: &mut BTreeMap<String, String>| {
        asked.insert("nonce".to_owned(), "a".repeat(43));
    };
    let back = browser.sign_in_asking(&app, &provider, "ann", change).await;
    refused(&mut browser, back.as_str(), "it is of another sign-in").await;
    // Whoever says no there has not signed in here.
    let mut browser = Browser::new();
    let change = |asked: &mut BTreeMap<String, String>| {
        asked.insert("prompt".to_owned(), "none".to_owned());
    };
    let begun = browser.call(Method::GET, &app.url("/session/oidc"), &[]).await;
    let mut location = Url::parse(begun.headers()[header::LOCATION].to_str().unwrap()).unwrap();
    let mut asked: BTreeMap<_, _> = location.query_pairs().into_owned().collect();
    change(&mut asked);
    location.query_pairs_mut().clear().extend_pairs(asked);
    let back = browser
        .follow(Method::GET, location.as_str(), &[], &provider.issuer)
        .await;
    let back = back.expect("the provider sends the browser back");
    refused(&mut browser, back.as_str(), "login_required").await;

    // Somebody whom no role is for gets in at the provider, and not here.
    let mut browser = Browser::new();
    let back = browser.sign_in(&app, &provider, "ben").await;
    let page = browser.call(Method::GET, back.as_str(), &[]).await;
    assert_eq!(page.status(), StatusCode::FORBIDDEN);
    assert!(
        page.text()
            .await
            .unwrap()
            .contains("ben@example.com has no role here")
    );
    assert_eq!(
        browser.call(Method::GET, &executions, &[]).await.status(),
        StatusCode::UNAUTHORIZED
    );
    app.stop().await;
}

/// Coming back with this opens no session.
async fn refused(browser: &mut Browser, back: &str, why: &str) {
    let page = browser.call(Method::GET, back, &[]).await;
    assert_eq!(page.status(), StatusCode::UNAUTHORIZED);
    assert!(!browser.cookies.contains_key("segno"), "{:?}", browser.cookies);
    let page = page.text().await.unwrap();
    assert!(page.contains(why), "{page}");
}

async fn tokens_of_the_provider_are_taken(engine: TestEngine) {
    let (app, provider) = start(&engine, "").await;
    let call = async |token: &str| app.get("/session").bearer_auth(token).send().await.unwrap();
    for algorithm in ["RS256", "PS384", "ES256", "EdDSA"] {
        let token = provider.token("segno", algorithm).await;
        let session = json_of(call(&token).await, StatusCode::OK).await;
        assert_eq!(
            session,
            json!({ "name": "robot@example.com", "role": "viewer" }),
            "{algorithm}"
        );

        // The role is its own.
        let change = app
            .post("/keys/release")
            .bearer_auth(&token)
            .json(&json!({ "route": "r", "key": "k" }));
        assert_eq!(change.send().await.unwrap().status(), StatusCode::FORBIDDEN);

        // Whoever changes a letter of it has none.
        let [head, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
            panic!("{token}")
        };
        let other = provider.token("segno", algorithm).await;
        let others = other.split('.').nth(1).unwrap();
        for wrong in [
            format!("{head}.{others}.{signature}"),
            format!("{head}.{claims}."),
            // By `none`, and by HS256.
            format!("eyJhbGciOiJub25lIn0.{claims}."),
            format!("eyJhbGciOiJIUzI1NiJ9.{claims}.{signature}"),
        ] {
            is_wrong(call(&wrong).await.status(), &wrong);
        }
    }
    // A right signature is not enough.
    for kind in ["late", "early", "foreign", "others", "nobody", "endless"] {
        let wrong = provider.token(kind, "RS256").await;
        is_wrong(call(&wrong).await.status(), kind);
    }
    let stranger = Provider::start(free_port(), "http://127.0.0.1:1/").await;
    is_wrong(
        call(&stranger.token("segno", "RS256").await).await.status(),
        "a stranger's",
    );

    // New keys are asked for when a token is signed by one that is not known; what the old ones have signed is good no more.
    let before = provider.token("segno", "RS256").await;
    let provider = provider.start_again().await;
    let deadline = Instant::now() + DEADLINE;
    let fresh = provider.token("segno", "RS256").await;
    while call(&fresh).await.status() != StatusCode::OK {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}");
        sleep(std::time::Duration::from_millis(500)).await;
    }
    is_wrong(call(&before).await.status(), "of a key that is gone");
    app.stop().await;
}

/// After ten wrong ones the next are not looked at.
fn is_wrong(status: StatusCode, what: &str) {
    let expected = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
    assert!(expected.contains(&status), "{what}: {status}");
}

/// A provider that is away keeps no token and nobody's work away.
#[cfg(feature = "embedded")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_provider_it_is_told_to_come_back() {
    let engine = TestEngine::embedded();
    let (port, tokens) = (free_port(), crate::access::tokens(&engine));
    let config = format!(
        "{tokens}[http.oidc]\nissuer = \"http://localhost:{port}\"\nclient_id = \"segno\"\ndefault_role = \"viewer\"\n"
    );
    let mut launch = Launch::up(&engine, &config);
    let program = launch.start().await;
    let log = "nobody can sign in at the provider yet";
    assert!(program.log().contains(log), "{}", program.log());
    let page = client().get(program.url("/session/oidc")).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE);
    let executions = |token: &str| client().get(program.url("/executions")).bearer_auth(token);
    let jwt = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl";
    let refused = executions(jwt).send().await.unwrap();
    let problem: Value = json_of(refused, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(problem["code"], "provider-unavailable");
    let known = crate::access::token(segno::access::Role::Viewer);
    assert_eq!(executions(&known).send().await.unwrap().status(), StatusCode::OK);

    // Once it is there people sign in, and its tokens are taken.
    let provider = Provider::start(port, &program.url("/session/oidc/callback")).await;
    let deadline = Instant::now() + DEADLINE;
    loop {
        let begun = client().get(program.url("/session/oidc")).send().await.unwrap();
        if begun.status() == StatusCode::SEE_OTHER {
            break;
        }
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {begun:?}");
        sleep(std::time::Duration::from_millis(100)).await;
    }
    let token = provider.token("segno", "ES256").await;
    assert_eq!(executions(&token).send().await.unwrap().status(), StatusCode::OK);
    while !program.log().contains("people can sign in at the provider") {
        assert!(Instant::now() < deadline, "{}", program.log());
        sleep(std::time::Duration::from_millis(100)).await;
    }
}
