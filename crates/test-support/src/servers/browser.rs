use std::{path::Path, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Launch, PATIENCE, POLL, Server, is_root, program, texts};

/// How WebDriver names an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// WebDriver's names of keys.
pub const ENTER: &str = "\u{e007}";
/// The escape key.
pub const ESCAPE: &str = "\u{e00c}";
/// The tabulator.
pub const TAB: &str = "\u{e004}";

/// A headless Chromium with an empty profile, driven by WebDriver. Everything waits until it can be done, for a minute at most.
///
/// The protocol is spoken by hand: these few calls are all of it that tests need, and the clients for it bring more than that,
/// parts under licences that are not built in here included.
#[derive(Debug)]
pub struct Browser {
    /// The browser ends with its driver, by the pipe between them.
    _driver: Server,
    session: String,
    client: Client,
}

/// An element of the page, until that changes.
#[derive(Clone, Debug)]
pub struct Element(String);

impl Browser {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When it does not start: Debian's packages are `chromium` and `chromium-driver`.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let driver = Server::start(folder, |port, _| Launch {
            program: program("chromedriver", &["/usr/bin", "/usr/lib/chromium"]),
            arguments: texts([&format!("--port={port}"), "--log-level=SEVERE"]),
            hello: b"GET /status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
            answer: b"\"ready\":true",
        })
        .await;
        let profile = driver.folder().join("profile");
        let mut flags = texts([
            "--headless",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--remote-debugging-pipe",
            "--window-size=1280,900",
            "--lang=en-US",
            &format!("--user-data-dir={}", profile.display()),
        ]);
        if is_root() {
            flags.push("--no-sandbox".to_owned());
        }
        let browser = program("chromium", &["/usr/bin"]);
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": browser, "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let root = format!("http://127.0.0.1:{}/session", driver.port());
        let client = Client::builder().no_proxy().build().expect("a client");
        let reply = client.post(&root).json(&wanted).send().await.expect("an answer");
        let reply: Value = reply.json().await.expect("JSON");
        let id = reply["value"]["sessionId"]
            .as_str()
            .unwrap_or_else(|| panic!("the browser does not start: {reply}"));
        Self {
            session: format!("{root}/{id}"),
            _driver: driver,
            client,
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Value> {
        let mut request = self.client.request(method, format!("{}{path}", self.session));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let reply = request.send().await.expect("the driver answers");
        let well = reply.status().is_success();
        let mut reply: Value = reply.json().await.expect("JSON");
        let value = reply["value"].take();
        if well { Ok(value) } else { Err(value) }
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Value> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Goes to an address and waits until the page is loaded.
    ///
    /// # Panics
    ///
    /// When it cannot be loaded.
    pub async fn goto(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await.expect("the page");
    }

    /// The address of the page.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub async fn url(&self) -> String {
        let url = self.ask(Method::GET, "/url", None).await.expect("an address");
        url.as_str().expect("a text").to_owned()
    }

    /// What a function's body returns in the page. A promise is waited for.
    ///
    /// # Panics
    ///
    /// When it throws.
    pub async fn run(&self, script: &str, arguments: &[Value]) -> Value {
        match self.try_run(script, arguments).await {
            Ok(value) => value,
            Err(error) => panic!("{script}: {error}"),
        }
    }

    async fn try_run(&self, script: &str, arguments: &[Value]) -> Result<Value, Value> {
        self.post("/execute/sync", json!({ "script": script, "args": arguments }))
            .await
    }

    /// Waits until a function's body returns something that is true, and returns it.
    ///
    /// # Panics
    ///
    /// When it does not within a minute.
    pub async fn until(&self, what: &str, script: &str, arguments: &[Value]) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // The page may be between two states in which the script makes sense.
            let got = self.try_run(script, arguments).await;
            if let Ok(value) = &got
                && !matches!(value, Value::Null | Value::Bool(false))
            {
                return value.clone();
            }
            if Instant::now() > deadline {
                let text = self.try_run("return document.body.innerText", &[]).await;
                panic!(
                    "{what} is not there ({got:?}) at {}:\n{text:#?}\n{:#?}",
                    self.url().await,
                    self.log().await
                );
            }
            sleep(POLL).await;
        }
    }

    /// The first visible element that fits a selector and has this text, once there is one. An empty text is any.
    ///
    /// # Panics
    ///
    /// When there is none within a minute.
    pub async fn find(&self, selector: &str, text: &str) -> Element {
        let script = "return [...document.querySelectorAll(arguments[0])].find((one) => \
                      one.getClientRects().length && (one.innerText ?? one.textContent).includes(arguments[1])) ?? null";
        let what = format!("{selector} {text:?}");
        let found = self.until(&what, script, &[json!(selector), json!(text)]).await;
        Element(found[ELEMENT].as_str().expect("an element").to_owned())
    }

    /// Clicks on what [`find`](Self::find) finds, as a person does.
    ///
    /// # Panics
    ///
    /// When it cannot be clicked within a minute.
    pub async fn click(&self, selector: &str, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let Element(id) = self.find(selector, text).await;
            // It may have been drawn anew, or something is still in front of it.
            match self.post(&format!("/element/{id}/click"), json!({})).await {
                Ok(_) => return,
                Err(error) => assert!(Instant::now() < deadline, "{selector} {text:?}: {error}"),
            }
            sleep(POLL).await;
        }
    }

    /// Types into the field with this label, in place of what is in it.
    ///
    /// # Panics
    ///
    /// When there is none within a minute.
    pub async fn fill(&self, label: &str, text: &str) {
        let script = "const label = [...document.querySelectorAll('label')].find((one) => one.getClientRects().length && \
                      one.innerText.trim().startsWith(arguments[0])); return label?.querySelector('input, textarea') ?? null";
        let found = self
            .until(&format!("the field {label:?}"), script, &[json!(label)])
            .await;
        let id = found[ELEMENT].as_str().expect("an element");
        self.post(&format!("/element/{id}/clear"), json!({}))
            .await
            .expect("it is emptied");
        self.post(&format!("/element/{id}/value"), json!({ "text": text }))
            .await
            .expect("it is typed");
    }

    /// Presses keys one after the other, wherever the focus is.
    ///
    /// # Panics
    ///
    /// When the driver does not take them.
    pub async fn press(&self, keys: &[&str]) {
        let mut actions = Vec::new();
        for key in keys {
            actions.push(json!({ "type": "keyDown", "value": key }));
            actions.push(json!({ "type": "keyUp", "value": key }));
        }
        let body = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        self.post("/actions", body).await.expect("the keys are pressed");
    }

    /// Waits until the page shows this text.
    ///
    /// # Panics
    ///
    /// When it does not within a minute.
    pub async fn see(&self, text: &str) {
        let script = "return document.body.innerText.includes(arguments[0])";
        self.until(&format!("{text:?}"), script, &[json!(text)]).await;
    }

    /// Gives the page this many pixels, and this preference of colours: `light` or `dark`.
    ///
    /// # Panics
    ///
    /// When the browser does not.
    pub async fn look(&self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        for (command, parameters) in [
            ("Emulation.setDeviceMetricsOverride", metrics),
            ("Emulation.setEmulatedMedia", media),
        ] {
            self.post(
                "/goog/cdp/execute",
                json!({ "cmd": command, "params": parameters }),
            )
            .await
            .expect("the browser takes it");
        }
    }

    /// What the page has said in its console since it was asked last: errors of scripts, refusals of policies.
    ///
    /// # Panics
    ///
    /// When the driver does not say.
    pub async fn log(&self) -> Vec<Value> {
        let log = self
            .post("/se/log", json!({ "type": "browser" }))
            .await
            .expect("the log");
        log.as_array().expect("a list").clone()
    }

    /// Writes a picture of what is seen, as PNG.
    ///
    /// # Panics
    ///
    /// When it cannot be taken or written.
    pub async fn picture(&self, path: &Path) {
        let parameters = json!({ "cmd": "Page.captureScreenshot", "params": { "captureBeyondViewport": true, "format": "png" } });
        let picture = self
            .post("/goog/cdp/execute", parameters)
            .await
            .expect("a picture");
        let text = picture["data"].as_str().expect("a text");
        let bytes = STANDARD.decode(text).expect("base64");
        std::fs::write(path, bytes).expect("the picture is written");
    }

    /// Waits a little, for pictures of what comes by itself.
    pub async fn settle(&self) {
        sleep(Duration::from_millis(300)).await;
    }
}
