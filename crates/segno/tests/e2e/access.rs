//! Who may use the HTTP API: tokens, sessions, roles.

use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use segno::access::{Need, Role, TABLE};
use serde_json::{Value, json};

use segno_test_support::{Authority, write_file};
use tokio::process::Command;

use crate::support::{App, TestEngine, json_of};

on_every_engine! {
    every_endpoint_lets_in_the_roles_of_its_row,
    a_browser_signs_in_and_out,
    wrong_tokens_are_slowed_down,
    the_command_line_shows_its_token_over_tls,
}

/// The token of a role.
pub(crate) fn token(role: Role) -> String {
    format!("{role}-0123456789abcdef")
}

/// A configuration with a token for each role.
pub(crate) fn tokens(engine: &TestEngine) -> String {
    let mut config = String::new();
    for role in Role::ALL {
        let file = engine.folder().join(format!("{role}.token"));
        std::fs::write(&file, format!("{}\n", token(role))).expect("a token's file");
        config.push_str(&format!(
            "[[http.tokens]]\nname = \"the {role}\"\nfile = {file:?}\nrole = \"{role}\"\n"
        ));
    }
    config
}

/// A client that follows no redirection.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client")
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.expect("an answer")
}

/// Every operation of the document that the process serves: method and path.
async fn operations(app: &App) -> Vec<(Method, String)> {
    let document = json_of(app.get("/openapi.json").send().await.unwrap(), StatusCode::OK).await;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            operations.push((method.to_uppercase().parse().unwrap(), path.clone()));
        }
    }
    operations
}

/// What the table asks for; the document writes a path's last part without its asterisk.
fn need(method: &Method, path: &str) -> Need {
    let row = TABLE
        .iter()
        .find(|(verb, row, _)| *verb == method.as_str() && row.replace("{*", "{") == path);
    row.unwrap_or_else(|| panic!("{method} {path} has no row")).2
}

async fn every_endpoint_lets_in_the_roles_of_its_row(engine: TestEngine) {
    let app = App::start(&engine, &tokens(&engine)).await;
    let client = client();
    let operations = operations(&app).await;
    assert!(operations.len() > 40, "{operations:?}");
    for (method, path) in &operations {
        let need = need(method, path);
        let mut url = String::new();
        for (n, part) in path.split(['{', '}']).enumerate() {
            url.push_str(if n % 2 == 0 { part } else { "nothing" });
        }
        let call = |role: Option<Role>| {
            let request = client.request(method.clone(), app.url(&url));
            let request = request
                .header(header::CONTENT_TYPE, "application/json")
                .body("[]");
            match role {
                Some(role) => request.bearer_auth(token(role)),
                None => request,
            }
        };
        let nobody = send(call(None)).await;
        if need.is_open() {
            // Signing in with no token, or a source that is not configured, is refused for what it is.
            assert_ne!(nobody.status(), StatusCode::FORBIDDEN, "{method} {path}");
        } else {
            assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(
                nobody.headers()[header::WWW_AUTHENTICATE],
                "Bearer",
                "{method} {path}"
            );
            let problem: Value = nobody.json().await.unwrap();
            assert_eq!(problem["code"], "unauthenticated", "{method} {path}");
        }
        for role in Role::ALL {
            let status = send(call(Some(role))).await.status();
            if need.allows(role) {
                assert_ne!(status, StatusCode::FORBIDDEN, "{role}: {method} {path}");
                assert_ne!(status, StatusCode::UNAUTHORIZED, "{role}: {method} {path}");
            } else {
                assert_eq!(status, StatusCode::FORBIDDEN, "{role}: {method} {path}");
            }
        }
    }
    // A few rows in words, so that the table is not only held against itself.
    for (method, path, allowed) in [
        (
            "POST",
            "/events",
            &[Role::Sender, Role::Operator, Role::Admin][..],
        ),
        ("GET", "/executions", &[Role::Viewer, Role::Operator, Role::Admin]),
        ("POST", "/dead-letters/{id}/retry", &[Role::Operator, Role::Admin]),
        ("POST", "/routes/{name}/pause", &[Role::Operator, Role::Admin]),
        ("DELETE", "/timers/{id}", &[Role::Operator, Role::Admin]),
    ] {
        let need = need(&method.parse().unwrap(), path);
        let roles: Vec<_> = Role::ALL.into_iter().filter(|role| need.allows(*role)).collect();
        assert_eq!(roles, allowed, "{method} {path}");
    }
    // What is served nowhere is told to those who are known alone.
    assert_eq!(
        send(client.get(app.url("/nothing"))).await.status(),
        StatusCode::UNAUTHORIZED
    );
    let known = client.get(app.url("/nothing")).bearer_auth(token(Role::Sender));
    assert_eq!(send(known).await.status(), StatusCode::NOT_FOUND);
    app.stop().await;
}

async fn a_browser_signs_in_and_out(engine: TestEngine) {
    let app = App::start(&engine, &tokens(&engine)).await;
    let client = client();
    let origin = app.url("").trim_end_matches('/').to_owned();

    // A page that needs somebody leads to the one to sign in, and back.
    let page = send(
        client
            .get(app.url("/?query=x"))
            .header(header::ACCEPT, "text/html"),
    )
    .await;
    assert_eq!(page.status(), StatusCode::SEE_OTHER);
    assert_eq!(page.headers()[header::LOCATION], "/login?next=%2F%3Fquery%3Dx");
    let login = send(client.get(app.url("/login?next=%2F%3Fquery%3Dx"))).await;
    assert_eq!(login.status(), StatusCode::OK);
    assert!(
        login.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'")
    );
    assert!(login.text().await.unwrap().contains("value=\"/?query=x\""));
    let form = client
        .post(app.url("/session"))
        .header(header::ORIGIN, &origin)
        .form(&[("token", token(Role::Operator)), ("next", "/?query=x".to_owned())]);
    let signed_in = send(form).await;
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    assert_eq!(signed_in.headers()[header::LOCATION], "/?query=x");
    let cookie = signed_in.headers()[header::SET_COOKIE]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict; "), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    assert!(!cookie.contains(&token(Role::Operator)));

    let with = |request: RequestBuilder| request.header(header::COOKIE, &cookie);
    let session = json_of(send(with(client.get(app.url("/session")))).await, StatusCode::OK).await;
    assert_eq!(
        (&session["name"], &session["role"]),
        (&json!("the operator"), &json!("operator"))
    );
    let csrf = session["csrf"].as_str().unwrap();
    assert_eq!(
        send(with(client.get(app.url("/executions")))).await.status(),
        StatusCode::OK
    );

    // A change needs this origin and the text that only a page of it can know.
    let change = || with(client.post(app.url("/keys/release"))).json(&json!({ "route": "r", "key": "k" }));
    for (origin, csrf) in [
        (None, Some(csrf)),
        (Some(origin.as_str()), None),
        (Some(origin.as_str()), Some("guess")),
        (Some("https://evil.example"), Some(csrf)),
    ] {
        let mut request = change();
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        if let Some(csrf) = csrf {
            request = request.header("x-segno-csrf", csrf);
        }
        assert_eq!(
            send(request).await.status(),
            StatusCode::FORBIDDEN,
            "{origin:?} {csrf:?}"
        );
    }
    let right = || {
        change()
            .header(header::ORIGIN, &origin)
            .header("x-segno-csrf", csrf)
    };
    assert_ne!(send(right()).await.status(), StatusCode::FORBIDDEN);

    // Signed out, the cookie is worth nothing.
    let out = with(client.delete(app.url("/session")))
        .header(header::ORIGIN, &origin)
        .header("x-segno-csrf", csrf);
    let out = send(out).await;
    assert_eq!(out.status(), StatusCode::NO_CONTENT);
    assert!(
        out.headers()[header::SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    assert_eq!(send(right()).await.status(), StatusCode::UNAUTHORIZED);

    // By JSON, as a page's script does.
    let signed_in = client
        .post(app.url("/session"))
        .json(&json!({ "token": token(Role::Viewer) }));
    let shown = json_of(send(signed_in).await, StatusCode::OK).await;
    assert_eq!(shown["role"], "viewer");
    let ways = json_of(
        send(client.get(app.url("/session/methods"))).await,
        StatusCode::OK,
    )
    .await;
    assert_eq!((&ways["required"], &ways["token"]), (&json!(true), &json!(true)));
    for path in ["/livez", "/login", "/nothing", "/openapi.json"] {
        let answer = send(client.get(app.url(path))).await;
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(answer.headers()["referrer-policy"], "no-referrer", "{path}");
        let policy = answer.headers()[header::CONTENT_SECURITY_POLICY]
            .to_str()
            .unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
    }
    app.stop().await;
}

async fn wrong_tokens_are_slowed_down(engine: TestEngine) {
    let app = App::start(&engine, &tokens(&engine)).await;
    let client = client();
    let guess = |n: u32| {
        client
            .post(app.url("/session"))
            .json(&json!({ "token": format!("guess-{n}-0123456789") }))
    };
    for n in 0..10 {
        assert_eq!(send(guess(n)).await.status(), StatusCode::UNAUTHORIZED, "{n}");
    }
    let slowed = send(guess(10)).await;
    assert_eq!(slowed.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(slowed.headers().contains_key(header::RETRY_AFTER));
    // Whoever has a token is not kept from work by somebody who has none.
    let right = client
        .get(app.url("/executions"))
        .bearer_auth(token(Role::Viewer));
    assert_eq!(send(right).await.status(), StatusCode::OK);
    app.stop().await;
}

async fn the_command_line_shows_its_token_over_tls(engine: TestEngine) {
    let folder = engine.folder().to_owned();
    let authority = Authority::new("Segno Test");
    let (certificate, key) = authority.server().write(&folder, "port");
    let ca = write_file(&folder, "ca.pem", &authority.pem());
    let config = format!(
        "[http]\ntls = {{ certificate = {certificate:?}, private_key = {key:?} }}\n{}\
         [sinks.out]\nfile = {{ path = \"out.jsonl\" }}\n[[routes]]\nname = \"all\"\non = \"*\"\n\
         actions = [{{ name = \"keep\", to = \"out\" }}]\n",
        tokens(&engine)
    );
    let app = App::start(&engine, &config).await;
    let url = app.url("").replace("http://127.0.0.1", "https://localhost");
    let segno = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_segno"));
        command
            .args(arguments)
            .env("SEGNO_API", &url)
            .env("SEGNO_URL", &url)
            .env("SEGNO_CA_FILE", &ca)
            .env_remove("SEGNO_TOKEN")
            .current_dir(&folder)
            .kill_on_drop(true);
        command
    };
    let run = async |mut command: Command| {
        let output = command.output().await.expect("the program runs");
        let text = |bytes| String::from_utf8(bytes).expect("text");
        (
            output.status.success(),
            text(output.stdout) + &text(output.stderr),
        )
    };

    let (done, said) = run(segno(&["routes", "list"])).await;
    assert!(
        !done && said.contains("SEGNO_TOKEN") && said.contains("--token-file"),
        "{said}"
    );
    let mut listing = segno(&["routes", "list"]);
    listing.env("SEGNO_TOKEN", token(Role::Viewer));
    let (done, said) = run(listing).await;
    assert!(done && said.contains("all"), "{said}");
    let mut pausing = segno(&["routes", "pause", "all"]);
    pausing.env("SEGNO_TOKEN", token(Role::Viewer));
    let (done, said) = run(pausing).await;
    assert!(!done && said.contains("operator, admin"), "{said}");
    let (done, said) = run(segno(&[
        "routes",
        "pause",
        "all",
        "--token-file",
        "operator.token",
    ]))
    .await;
    assert!(done, "{said}");
    let event = write_file(&folder, "event.json", &crate::support::order("1", 1).to_string());
    let (done, said) = run(segno(&[
        "emit",
        "--token-file",
        "sender.token",
        event.to_str().unwrap(),
    ]))
    .await;
    assert!(done, "{said}");

    let (done, said) = run(segno(&["audit", "--token-file", "admin.token"])).await;
    assert!(
        done && said.contains("the operator (operator) from 127.0.0.1  POST /routes/all/pause"),
        "{said}"
    );
    let (done, said) = run(segno(&[
        "audit",
        "--token-file",
        "admin.token",
        "-o",
        "json",
        "--who",
        "the operator",
    ]))
    .await;
    let entries: Value = serde_json::from_str(&said).expect("JSON");
    assert!(done && entries.as_array().unwrap().len() == 1, "{said}");

    // Without the authority the port is not believed, and without TLS nothing is said to it.
    let mut stranger = segno(&["routes", "list", "--token-file", "viewer.token"]);
    stranger.env_remove("SEGNO_CA_FILE");
    assert!(!run(stranger).await.0);
    assert!(client().get(app.url("/livez")).send().await.is_err());
    // The cookie of a session is not sent in the open.
    let trusting = reqwest::Client::builder()
        .add_root_certificate(reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap())
        .build()
        .unwrap();
    let sign_in = trusting
        .post(format!("{url}/session"))
        .json(&json!({ "token": token(Role::Viewer) }));
    let cookie = send(sign_in).await.headers()[header::SET_COOKIE]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(
        cookie.starts_with("__Host-segno=") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    app.stop().await;
}

/// Certificates of clients can be asked for besides tokens, or in their place.
#[cfg(feature = "embedded")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_show_certificates() {
    let engine = TestEngine::embedded();
    let folder = engine.folder().to_owned();
    let (ours, theirs) = (Authority::new("Ours"), Authority::new("Theirs"));
    let (certificate, key) = ours.server().write(&folder, "port");
    let ca = write_file(&folder, "ca.pem", &ours.pem());
    let config = format!(
        "[http]\ntls = {{ certificate = {certificate:?}, private_key = {key:?}, client_ca = {ca:?} }}\n"
    );
    let app = App::start(&engine, &config).await;
    let url = app
        .url("/session")
        .replace("http://127.0.0.1", "https://localhost");
    let call = async |pair: Option<segno_test_support::Pair>| {
        let trusted = reqwest::Certificate::from_pem(ours.pem().as_bytes()).unwrap();
        let mut builder = reqwest::Client::builder().add_root_certificate(trusted);
        if let Some(pair) = pair {
            let pem = format!("{}{}", pair.key, pair.certificate);
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        }
        builder.build().unwrap().get(&url).send().await
    };
    assert!(call(None).await.is_err());
    assert!(call(Some(theirs.client())).await.is_err());
    assert!(call(Some(ours.expired_client())).await.is_err());
    assert_eq!(call(Some(ours.client())).await.unwrap().status(), StatusCode::OK);
    app.stop().await;
}
