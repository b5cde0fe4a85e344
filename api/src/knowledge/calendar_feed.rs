//! Calendar feeds: their URLs are shown once when opened; after that, only their hashes are known.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::{On, sha256_hex};
use domain::identity::scope;
use domain::knowledge::calendar_feed::{CalendarFeed, CalendarFeedCommand};
use projections::knowledge::calendar_feed::{CalendarFeedContent, CalendarFeeds};
use projections::{Row, RowMetadata, Where};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::calendar;
use crate::App;
use crate::command::{Command, Nothing};
use crate::filter::Filter;
use crate::identity::MANAGES;
use crate::problem::Problem;
use crate::query::Path;
use crate::resource::Resource;
use projections::knowledge::calendar_feed::CalendarFeedStatus;

pub fn routes() -> OpenApiRouter<App> {
    Resource::<CalendarFeeds>::at("/calendar-feeds")
        .shown_as::<CalendarFeedView>()
        .with(routes!(open))
        .with(routes!(revoke))
        .list::<CalendarFeedFilter>("Lists the caller's calendar feeds, newest first.")
        .get("Returns one of the caller's calendar feeds, without its URL.")
        .routes()
}

/// A calendar feed to open.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewCalendarFeed {
    /// Name of the feed, which tells the client that reads it; also the calendar's name there.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
}

/// A calendar feed.
#[derive(Serialize, ToSchema)]
#[schema(as = CalendarFeed)]
struct CalendarFeedView {
    #[serde(flatten)]
    metadata: RowMetadata,
    name: String,
    /// Id of the actor whose tasks the feed shows.
    owner: Uuid,
    /// Id of the key that opened the feed; once that key is revoked, the feed no longer works.
    credential: Option<Uuid>,
    status: CalendarFeedStatus,
    /// Path for the calendar client's subscription, relative to the server's address; only in the first answer to the request that opens
    /// the feed. Anybody who has it can read the tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// Notice in place of the path, in the answer to a repeated request.
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<&'static str>,
}

/// Notice that replaces the path in a repeated answer.
const SHOWN_BEFORE: &str =
    "the address was shown in the first answer only; revoke the feed and open another";

impl From<Row<CalendarFeedContent>> for CalendarFeedView {
    fn from(row: Row<CalendarFeedContent>) -> Self {
        Self {
            metadata: row.metadata,
            name: row.content.name,
            owner: row.content.owner,
            credential: row.content.credential,
            status: row.content.status,
            path: None,
            notice: None,
        }
    }
}

/// Opens a calendar feed: a secret URL where a calendar client reads the caller's tasks without a key.
#[utoipa::path(post, path = "/calendar-feeds", tag = "tasks", request_body = NewCalendarFeed,
    responses((status = 201, body = CalendarFeedView)), security(("api_key" = ["tasks:write"])))]
async fn open(
    State(app): State<App>,
    command: Command<NewCalendarFeed>,
) -> Result<Response, Problem> {
    let id = Uuid::now_v7();
    let open = On::<CalendarFeed> {
        id,
        command: CalendarFeedCommand::Open {
            name: command.body.name,
            sha256: sha256_hex(app.secrets.calendar_feed(id)),
        },
    };
    let (request, secrets) = (&command.request, &app.secrets);
    app.run_revealing::<CalendarFeeds, _>(request, &open, StatusCode::CREATED, |row, once| {
        let id = row.metadata.id;
        let address = || calendar::path(&secrets.calendar_feed(id));
        let (path, notice) = once.show(address, SHOWN_BEFORE);
        CalendarFeedView {
            path,
            notice,
            ..row.into()
        }
    })
    .await
}

/// Revokes a calendar feed, whose URL then stops working: the caller's own, or anybody's with `api_keys:write`.
#[utoipa::path(delete, path = "/calendar-feeds/{id}", tag = "tasks", params(("id" = Uuid, Path)),
    responses((status = 200, body = CalendarFeedView)), security(("api_key" = ["tasks:write"])))]
async fn revoke(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    mut command: Command<Nothing>,
) -> Result<Response, Problem> {
    app.reach::<CalendarFeed>(&mut command, id).await?;
    let is_manager = scope::grants(&command.caller.scopes, MANAGES);
    let revoke = On::<CalendarFeed> {
        id,
        command: CalendarFeedCommand::Revoke { is_manager },
    };
    app.run_as::<CalendarFeeds, _>(
        &command.request,
        &revoke,
        StatusCode::OK,
        CalendarFeedView::from,
    )
    .await
}

/// Filters for a list of feeds.
#[derive(Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CalendarFeedFilter {
    /// Lists all feeds of the product; also needs `api_keys:read`.
    all: Option<bool>,
}

impl Filter for CalendarFeedFilter {
    fn conditions(self) -> Result<Where, Problem> {
        Ok(Where::default())
    }

    fn is_for_all(&self) -> bool {
        self.all == Some(true)
    }
}
