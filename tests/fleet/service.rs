//! The service over HTTP.

use crate::{
    on_both,
    site::{Process, Site, http},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

on_both! { clients_ask_follow_and_are_kept_apart }

#[derive(Clone)]
struct Client {
    address: String,
    token: String,
}

impl Client {
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let bearer = format!("Bearer {}", self.token);
        let own = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let (status, text) = http(&self.address, method, path, &[headers, &own[..]].concat(), body);
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, &[], "")
    }
}

/// Starts the service; its address.
fn serve(site: &Site, more: &[&str]) -> (Process, String) {
    let process = site.start("serve", &[&["serve", "--listen", "127.0.0.1:0"], more].concat());
    let started = Instant::now();
    loop {
        let said = site.said("serve");
        if let Some(address) = said.lines().rev().find_map(|line| line.strip_prefix("http://")) {
            return (process, address.to_owned());
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{said}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

async fn clients_ask_follow_and_are_kept_apart(site: Site) {
    let token = |name: &str, more: &[&str]| {
        let data = site.data(&[&["fleet", "token", "add", name], more].concat());
        data["token"].as_str().expect("a token").to_owned()
    };
    let (shop, other) = (token("shop", &["--quota", "4"]), token("other", &[]));
    let chief = token("chief", &["--operator"]);
    let (mut server, address) = serve(&site, &["--max-body", "4", "--max-inputs", "3"]);
    let [shop, other, chief, nobody] = [shop, other, chief, "zkv_00".to_owned()]
        .map(|token| Client { address: address.clone(), token });

    for path in ["/healthz", "/readyz", "/", "/openapi.json"] {
        assert_eq!(http(&address, "GET", path, &[], "").0, 200, "{path}");
    }
    for path in ["/v1/jobs", "/metrics", "/v1/overview"] {
        assert_eq!(http(&address, "GET", path, &[], "").0, 401, "{path}");
        assert_eq!(nobody.get(path).0, 401, "{path}");
    }

    let body = json!({ "inputs": [{ "input_data": [[0.5, -0.25, 1.0]] }, { "input_data": [[0.1, 0.2, 0.3]] }] });
    let ask = |body: &Value, headers: &[(&str, &str)]| {
        shop.ask("POST", "/v1/predictions", headers, &body.to_string())
    };
    let key = [("Idempotency-Key", "order-1")];
    let (status, taken) = ask(&body, &key);
    assert_eq!(status, 202, "{taken}");
    let (status, again) = ask(&body, &key);
    assert_eq!((status, &again["jobs"][0]["id"]), (200, &taken["jobs"][0]["id"]));
    let more = json!({ "inputs": [{ "input_data": [[0.9, 0.9, 0.9]] }, { "input_data": [[0.8, 0.8, 0.8]] }] });
    assert_eq!(ask(&more, &key).0, 409);
    let three = json!({ "inputs": vec![json!({ "input_data": [[0.9, 0.9, 0.9]] }); 3] });
    let (status, refused) = ask(&three, &[]);
    assert_eq!((status, &refused["error"]["code"]), (429, &json!("quota")));
    for (wrong, status) in [
        (json!({ "inputs": [] }), 400),
        (json!({ "inputs": vec![json!({}); 4] }), 400),
        (json!({ "inputs": [{ "input_data": [[1.0]] }] }), 400),
        (json!({ "inputs": [{ "input_data": [["a", 1.0, 2.0]] }] }), 400),
        (json!({ "inputs": [{ "input_data": [[0.5, -0.25, 1.0]] }], "priority": 1000 }), 400),
        (json!({ "unheard": "of" }), 400),
        (json!({ "inputs": ["x".repeat(5000)] }), 413),
    ] {
        let (found, answer) = ask(&wrong, &[]);
        assert_eq!(found, status, "{answer}");
    }

    let id = taken["jobs"][0]["id"].as_str().expect("an id").to_owned();
    let of = |rest: &str| format!("/v1/jobs/{id}{rest}");
    assert_eq!(other.get(&of("")).0, 404, "another's job is not to be seen");
    assert_eq!(other.get("/v1/jobs").1["jobs"], json!([]));
    assert_eq!(chief.get(&of("")).0, 200);
    assert_eq!(shop.get(&of("/proof")).0, 404, "not yet");
    assert_eq!(shop.get("/v1/overview").0, 403);

    let _worker = site.worker("worker");
    let (status, story) = shop.get(&of("/events"));
    let story = story.as_str().expect("a stream");
    assert_eq!(status, 200);
    assert!(story.contains("event: job") && story.contains("\"state\":\"done\""), "{story}");
    site.until_done().await;
    let (status, proof) = shop.get(&of("/proof"));
    assert_eq!(status, 200);
    std::fs::write(site.project.file("got.json"), proof.to_string()).expect("written");
    assert_eq!(site.data(&["verify", "got.json"])["valid"], true);
    assert_eq!(shop.get(&of("/receipt")).0, 404, "it was not to be recorded");
    assert_eq!(shop.ask("POST", &of("/cancel"), &[], "").0, 409);
    assert_eq!(shop.get("/v1/jobs/xyz").0, 400);
    assert_eq!(shop.get("/v1/nothing").0, 404);

    let (status, figures) = chief.get("/metrics");
    let figures = figures.as_str().expect("text");
    assert_eq!(status, 200);
    assert!(figures.contains("zkvouch_jobs{state=\"done\"} 2"), "{figures}");
    assert!(figures.trim_end().ends_with("# EOF"), "{figures}");
    assert_eq!(chief.get("/v1/overview").1["jobs"]["done"], 2);
    let (_, document) = shop.get("/openapi.json");
    for path in ["/v1/predictions", "/v1/jobs/{id}/events", "/v1/jobs/{id}/path"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }

    // Many at once are held back, and go on being answered later.
    let answers: Vec<_> = (0..260).map(|_| other.get("/v1/circuit").0).collect();
    assert!(answers.contains(&429) && answers.contains(&200), "{answers:?}");
    site.data(&["fleet", "token", "revoke", "other"]);
    assert_eq!(other.get("/v1/circuit").0, 401);

    // Who follows a job that goes on does not keep it from ending.
    drop(_worker);
    let waiting = site.submit(1, &["--key", "last"])[0].to_string();
    let follow = std::thread::spawn({
        let chief = chief.clone();
        move || chief.get(&format!("/v1/jobs/{waiting}/events")).0
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.signal(libc::SIGTERM);
    assert_eq!(server.wait(), Some(0), "{}", site.said("serve"));
    assert_eq!(follow.join().expect("followed"), 200);
}
