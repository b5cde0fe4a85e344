//! Errors of the database: PostgreSQL's own text, and how callers should react.

use std::error::Error;

use tokio_postgres::error::{DbError, SqlState};

/// Describes an error with PostgreSQL's message and code, even if other errors wrap it. Omits values of rows.
#[must_use]
pub fn describe(error: &(dyn Error + 'static)) -> String {
    if let Some(said) = db_error(error) {
        return format!("{} ({})", said.message(), said.code().code());
    }
    let mut text = error.to_string();
    for cause in causes(error).skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Describes the cause without values and names, for callers without a key.
#[must_use]
pub fn cause(error: &(dyn Error + 'static)) -> String {
    let Some(code) = code(error) else {
        return if is_read_only(error) {
            "it is read-only".into()
        } else {
            "it cannot be reached".into()
        };
    };
    let told = match code.code() {
        "25006" => "it is read-only",
        "53100" => "its disk is full",
        "53300" => "it has no connection left",
        "42501" => "a right is missing",
        "42P01" | "3F000" => "a table is missing",
        "57P03" => "it is starting up or shutting down",
        "28000" | "28P01" => "it refuses the account",
        "3D000" => "it does not exist",
        _ => "it reports an error",
    };
    format!("{told} ({})", code.code())
}

/// Returns true if the database could not be reached, is read-only, full, or otherwise temporarily unable to work: a retry
/// may succeed.
#[must_use]
pub fn is_unavailable(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        return error.is_closed() || is_io(error);
    };
    // A missing table is being rebuilt.
    ["25006", "42P01", "3F000", "57014"].contains(&code.code())
        || ["08", "53", "57P", "58"]
            .iter()
            .any(|class| code.code().starts_with(class))
}

/// Returns true if the session would meet the error again, while another one may not: it became read-only, lost its
/// prepared statements, or runs on a server whose files are gone.
#[must_use]
pub fn spoils_session(error: &tokio_postgres::Error) -> bool {
    let Some(code) = error.code() else {
        return error.is_closed() || is_io(error);
    };
    ["25006", "26000", "42P05"].contains(&code.code())
        || ["08", "57P", "58", "XX"]
            .iter()
            .any(|class| code.code().starts_with(class))
}

/// Returns true if the database has no room for a write.
#[must_use]
pub fn is_full(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::DISK_FULL)
}

/// Returns true if a server that starts, recovers or is promoted may accept the same connection later.
pub(crate) fn may_pass(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => {
            ["57P03", "53300", "57P01"].contains(&code.code()) || code.code().starts_with("08")
        }
        None => is_io(error) || error.to_string().contains("timeout"),
    }
}

/// Returns true if the driver refused a session that cannot write. The driver has its own error for this.
fn is_read_only(error: &(dyn Error + 'static)) -> bool {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| {
            cause.kind() == std::io::ErrorKind::PermissionDenied && cause.raw_os_error().is_none()
        })
}

fn is_io(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<std::io::Error>())
}

fn code<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a SqlState> {
    db_error(error).map(DbError::code)
}

fn db_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a DbError> {
    causes(error).find_map(|cause| cause.downcast_ref::<DbError>())
}

/// Returns the error, its cause, the cause of that, and so on.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        (*error).source()
    })
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[test]
    fn causes_are_told_once() {
        let error = Outer(io::Error::other("inner"));
        assert_eq!(describe(&error), "outer: inner");
        assert_eq!(describe(&io::Error::other("alone")), "alone");
    }

    #[test]
    fn a_session_that_the_driver_refuses_is_told_from_a_server_that_is_gone() {
        let refused = io::Error::new(
            io::ErrorKind::PermissionDenied,
            "database does not allow writes",
        );
        assert_eq!(cause(&Outer(refused)), "it is read-only");
        let gone = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        assert_eq!(cause(&Outer(gone)), "it cannot be reached");
    }
}
