//! Rows of `log.events` and `log.receipts`.

use std::error::Error;

use domain::StreamId;
use postgres_types::{FromSql, Json, Type, accepts};
use tokio_postgres::Row;

use crate::{ReadError, Receipt, Recorded};

/// The columns that [`recorded`] reads.
pub const EVENT_COLUMNS: &str = "position, product_id, category, stream_id, version, event_id, type, \
     contract_version, data, metadata, correlation_id, causation_id, recorded_at, workspace_id";

/// The columns that [`receipt`] reads.
pub const RECEIPT_COLUMNS: &str =
    "key, fingerprint, position, category, stream_id, version, event_ids";

/// The text of a JSON value, unchanged.
struct JsonText(String);

impl<'a> FromSql<'a> for JsonText {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(str::from_utf8(raw)?.to_owned()))
    }

    accepts!(JSON);
}

pub fn recorded(row: &Row) -> Result<Recorded, ReadError> {
    let position = row.get(0);
    let Json(metadata) = row.try_get(9).map_err(|error| ReadError::Damaged {
        position,
        detail: error.to_string(),
    })?;
    let contract_version: i16 = row.get(7);
    Ok(Recorded {
        position,
        product_id: row.get(1),
        stream: StreamId::new(row.get::<_, String>(2), row.get(3)),
        version: row.get(4),
        event_id: row.get(5),
        event_type: row.get(6),
        contract_version: contract_version.cast_unsigned(),
        data: row.get::<_, JsonText>(8).0,
        metadata,
        correlation_id: row.get(10),
        causation_id: row.get(11),
        recorded_at: row.get(12),
        workspace_id: row.get(13),
    })
}

pub fn receipt(row: &Row) -> Receipt {
    Receipt {
        fingerprint: row.get(1),
        position: row.get(2),
        stream: StreamId::new(row.get::<_, String>(3), row.get(4)),
        version: row.get(5),
        event_ids: row.get(6),
    }
}
