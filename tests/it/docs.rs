//! The pages of `/docs` cover everything, and every link has a target.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;

use crate::harness::{Client, TestApp};
use crate::world::Document;

/// Fetches a page like a browser without a key.
async fn page(nobody: &Client, path: &str) -> String {
    let answer = nobody.send(nobody.request(Method::GET, path)).await;
    assert_eq!(answer.status, 200, "{path}");
    if path.ends_with(".css") {
        assert_eq!(answer.header("content-type"), "text/css; charset=utf-8");
    } else {
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        // The policy blocks scripts and foreign resources, whatever a page contains.
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; style-src 'self';"),
            "{policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
    }
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    answer.body.as_str().unwrap().to_owned()
}

/// Returns the values of an attribute.
fn attributes<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let values = page.split(name).skip(1);
    values.map(|rest| rest.split('"').next().unwrap()).collect()
}

/// Returns all pages that are reachable from the first, by path.
async fn pages(app: &TestApp) -> BTreeMap<String, String> {
    let nobody = Client::new(&app.url, "");
    let mut pages = BTreeMap::new();
    let mut ahead = vec!["/docs".to_owned()];
    while let Some(path) = ahead.pop() {
        if pages.contains_key(&path) {
            continue;
        }
        let text = page(&nobody, &path).await;
        for link in attributes(&text, " href=\"") {
            let target = link.split('#').next().unwrap();
            if target.starts_with("/docs") {
                ahead.push(target.to_owned());
            }
        }
        pages.insert(path, text);
    }
    pages
}

#[tokio::test]
async fn every_link_leads_to_what_is_there() {
    let app = TestApp::start().await;
    let pages = pages(&app).await;
    for (path, text) in &pages {
        assert!(!text.contains("<script"), "{path}");
        assert!(!text.contains(" src=\""), "{path}");
        let ids = attributes(text, " id=\"");
        let distinct: BTreeSet<&str> = ids.iter().copied().collect();
        assert_eq!(ids.len(), distinct.len(), "{path} has an id twice");
        for link in attributes(text, " href=\"") {
            let (target, place) = link.split_once('#').unwrap_or((link, ""));
            let target = if target.is_empty() { path } else { target };
            if !target.starts_with("/docs") {
                let is_led = target == "/openapi.json" || target.starts_with("https://");
                assert!(is_led, "{path} leads to {link}");
                continue;
            }
            let id = format!(" id=\"{place}\"");
            assert!(
                place.is_empty() || pages[target].contains(&id),
                "{path} leads to {link}"
            );
        }
    }
    let nobody = Client::new(&app.url, "");
    let absent = nobody.request(Method::GET, "/docs/nowhere");
    nobody
        .send(absent)
        .await
        .expect_problem(404, "no_such_path");
}

#[tokio::test]
async fn every_operation_type_and_event_has_its_place() {
    let app = TestApp::start().await;
    let pages = pages(&app).await;
    let document = Document::of(&app.alice).await;
    for operation in document.operations() {
        let tag = operation.spec["tags"][0].as_str().unwrap();
        let id = operation.spec["operationId"].as_str().unwrap();
        let page = &pages[&format!("/docs/reference/{tag}")];
        let section = page.split(&format!("<section id=\"{id}\">")).nth(1);
        let section = section.unwrap_or_else(|| panic!("{} is not shown", operation.name()));
        let section = section.split("</section>").next().unwrap();
        let request = format!("curl -X {} &quot;$BASE/", operation.method);
        assert!(section.contains(&request), "{section}");
        assert!(section.contains("<h3>Answers</h3>"), "{section}");
    }
    for name in document.json["components"]["schemas"]
        .as_object()
        .unwrap()
        .keys()
    {
        let id = format!("<section id=\"{name}\">");
        assert!(pages["/docs/schemas"].contains(&id), "{name}");
    }
    for event_type in domain::event_types() {
        let id = format!("<h3 id=\"{event_type}\">");
        assert!(pages["/docs/events"].contains(&id), "{event_type}");
    }
}

/// Checks that every code in the tests is in the table, with its status.
#[test]
fn every_code_is_described() {
    let root = env!("CARGO_MANIFEST_DIR");
    let table = std::fs::read_to_string(format!("{root}/docs/errors.md")).unwrap();
    let rows: BTreeSet<(&str, &str)> = table
        .lines()
        .filter_map(|line| {
            let mut cells = line.split('|').skip(1).map(str::trim);
            Some((cells.next()?, cells.next()?.trim_matches('`')))
        })
        .flat_map(|(statuses, code)| statuses.split(", ").map(move |status| (status, code)))
        .collect();
    /// Ends of the codes that all categories have, and their rows.
    const STANDARD: [(&str, &str); 3] = [
        ("_not_found", "<category>_not_found"),
        ("_exists", "<category>_exists"),
        ("_taken", "<category>_<field>_taken"),
    ];
    let mut seen = 0;
    for file in std::fs::read_dir(format!("{root}/tests/it")).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(path).unwrap_or_default();
        for call in text.split("expect_problem(").skip(1) {
            let arguments = call.split(')').next().unwrap();
            if let Some((status, code)) = arguments.split_once(',')
                && let Some(code) = code.split('"').nth(1)
                && status.parse::<u16>().is_ok()
            {
                let standard = STANDARD.iter().filter(|(end, _)| code.ends_with(end));
                let mut described = standard.map(|(_, row)| *row).chain([code]);
                let is_described = described.any(|code| rows.contains(&(status, code)));
                assert!(is_described, "add {status} {code} to docs/errors.md");
                seen += 1;
            }
        }
    }
    assert!(seen > 300, "{seen}");
}
