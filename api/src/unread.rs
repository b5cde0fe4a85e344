//! Reads and discards the rest of bodies whose requests were answered early. If the connection closed while the client still writes, the
//! answer would be lost.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use http_body::{Frame, SizeHint};

/// Time for which a client may continue to send a discarded body.
const WITHIN: Duration = Duration::from_secs(2);

/// Makes sure that the rest of a request's body is read and discarded, up to a number of bytes.
pub fn read_away(request: Request, limit: usize) -> Request {
    request.map(|body| match body.is_end_stream() {
        true => body,
        false => Body::new(Unread { body, limit }),
    })
}

struct Unread {
    body: Body,
    limit: usize,
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            return;
        }
        let (body, limit) = (std::mem::take(&mut self.body), self.limit);
        tokio::spawn(tokio::time::timeout(WITHIN, drain(body, limit)));
    }
}

async fn drain(mut body: Body, limit: usize) {
    let mut seen = 0;
    while seen <= limit
        && let Some(Ok(frame)) = std::future::poll_fn(|c| Pin::new(&mut body).poll_frame(c)).await
    {
        seen += frame.data_ref().map_or(0, Bytes::len);
    }
}
