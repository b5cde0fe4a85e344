//! Avatars of actors.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use commands::identity::avatar::Change;
use domain::identity::avatar::{AvatarCommand, Sitter};
use domain::identity::scope;
use projections::identity::avatar::{AvatarContent, Avatars};
use projections::operations::file::Files;
use projections::{Row, RowMetadata};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::MANAGES;
use crate::App;
use crate::answer;
use crate::caller::Caller;
use crate::command::{Command, Nothing};
use crate::operations::file::download_url;
use crate::problem::Problem;
use crate::query::{Path, Read};

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(set, get, clear))
}

/// A picture for an actor.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAvatar {
    /// Id of a file in the container `avatars` that belongs to no workspace.
    file_id: Uuid,
}

/// The picture of an actor.
#[derive(Serialize, ToSchema)]
struct AvatarView {
    #[serde(flatten)]
    metadata: RowMetadata,
    file_id: Uuid,
    /// Available sizes, smallest first; empty until they are generated.
    sizes: Vec<Size>,
}

/// An avatar in one size.
#[derive(Serialize, ToSchema)]
#[schema(as = AvatarSize)]
struct Size {
    /// Width and height in pixels.
    pixels: u32,
    media_type: String,
    sha256: String,
    /// URL relative to the server's address; it needs no key and its content never changes.
    url: String,
    /// Time until which the URL is valid.
    expires_at: DateTime<Utc>,
}

fn sitter(caller: &Caller, actor_id: Uuid) -> Sitter {
    Sitter {
        actor_id,
        is_managed: scope::grants(&caller.scopes, MANAGES),
    }
}

/// Sets an actor's avatar: the caller's own, or anybody's with `api_keys:write`.
#[utoipa::path(put, path = "/actors/{id}/avatar", tag = "avatars", operation_id = "set_avatar", params(("id" = Uuid, Path)),
    request_body = NewAvatar, responses((status = 200, body = Row<AvatarContent>)),
    security(("api_key" = ["avatars:write"])))]
async fn set(
    State(app): State<App>,
    Path(actor_id): Path<Uuid>,
    command: Command<NewAvatar>,
) -> Result<Response, Problem> {
    let set = Change {
        actor_id,
        command: AvatarCommand::Set {
            sitter: sitter(&command.caller, actor_id),
            file_id: command.body.file_id,
        },
    };
    app.run::<Avatars>(&command.request, &set, StatusCode::OK)
        .await
}

/// Removes an actor's avatar.
#[utoipa::path(delete, path = "/actors/{id}/avatar", tag = "avatars", operation_id = "clear_avatar", params(("id" = Uuid, Path)),
    responses((status = 204)), security(("api_key" = ["avatars:write"])))]
async fn clear(
    State(app): State<App>,
    Path(actor_id): Path<Uuid>,
    command: Command<Nothing>,
) -> Result<Response, Problem> {
    let clear = Change {
        actor_id,
        command: AvatarCommand::Clear {
            sitter: sitter(&command.caller, actor_id),
        },
    };
    app.run::<Avatars>(&command.request, &clear, StatusCode::OK)
        .await
}

/// Returns an actor's avatar with the URL of each size.
#[utoipa::path(get, path = "/actors/{id}/avatar", tag = "avatars", operation_id = "get_avatar", params(("id" = Uuid, Path)),
    responses((status = 200, body = AvatarView)), security(("api_key" = ["avatars:read"])))]
async fn get(
    State(app): State<App>,
    read: Read,
    Path(actor_id): Path<Uuid>,
) -> Result<Response, Problem> {
    let (avatar, position) = app.find::<Avatars>(&read, actor_id).await?;
    let file = app.row::<Files>(&read, avatar.content.file_id).await?;
    let size = |rendition: &projections::operations::file::RenditionContent| {
        let signed = download_url(&app, &file, Some(rendition.pixels))?;
        Ok(Size {
            pixels: rendition.pixels,
            media_type: rendition.media_type.clone(),
            sha256: rendition.sha256.clone(),
            url: signed.url,
            expires_at: signed.expires_at,
        })
    };
    let sizes: Result<Vec<Size>, Problem> = file.content.renditions.iter().map(size).collect();
    let version = avatar.metadata.version;
    let shown = AvatarView {
        metadata: avatar.metadata,
        file_id: avatar.content.file_id,
        sizes: sizes?,
    };
    App::show_with_others(&shown, version, position).map(answer::secret)
}
