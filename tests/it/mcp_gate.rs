//! A proxy that adds a key to every request, for clients that cannot send one. It forwards everything else unchanged.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::harness::Client;

pub struct Gate {
    pub url: String,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Beyond {
    http: reqwest::Client,
    url: String,
    key: HeaderValue,
}

impl Gate {
    pub async fn open(to: &Client) -> Self {
        let beyond = Beyond {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            url: to.url.clone(),
            key: format!("Bearer {}", to.key).parse().unwrap(),
        };
        let router = Router::new().fallback(pass).with_state(beyond);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, task }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(beyond): State<Beyond>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    parts.headers.insert(AUTHORIZATION, beyond.key);
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.remove(TRANSFER_ENCODING);
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let answer = beyond
        .http
        .request(parts.method, format!("{}{}", beyond.url, parts.uri))
        .headers(parts.headers)
        .body(body)
        .send()
        .await
        .unwrap();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response.headers_mut().remove(TRANSFER_ENCODING);
    *response.body_mut() = Body::from_stream(answer.bytes_stream());
    response
}
