//! The ledger: which messages have had their effects in this database.
//!
//! Every batch looks the ledger up and adds to it in the transaction of its effects. Two batches
//! can hold the same message only if it was delivered again, and then at least one of them says so:
//! that one runs alone (an exclusive lock), so it sees what the other did, or the other sees what
//! it did. Batches of new messages run side by side (a shared lock). SQLite has one writer anyway.
//!
//! A redriven message has the id of weeks ago among those of now. So that it is found without
//! reading all that came between, the ids of a row are never further apart than [`SPAN`].

use sqlx::{AnyConnection, Row as _};
use uuid::Uuid;

use common::UnixMillis;

use crate::error::StoreError;
use crate::id_ranges::{Id, IdRanges};
use crate::sql::{Database, Engine};

/// The name space of the locks of this ledger among the advisory locks of the database ("mill").
const LOCK_SPACE: i32 = 0x6d69_6c6c;

/// How far apart the first and the last id of a row are at most, and of those that are looked up at
/// once: ten minutes, for ids that are milliseconds.
const SPAN: u64 = 600_000;

/// Takes the lock of a stage until the end of the transaction: exclusive if messages may have been
/// applied before or are being applied by somebody else.
pub(crate) async fn lock(
    connection: &mut AnyConnection,
    engine: Engine,
    stage: &str,
    exclusive: bool,
) -> Result<(), StoreError> {
    if engine == Engine::Sqlite {
        return Ok(());
    }
    let statement = if exclusive {
        "SELECT 1 FROM (SELECT pg_advisory_xact_lock($1, hashtext($2))) AS l"
    } else {
        "SELECT 1 FROM (SELECT pg_advisory_xact_lock_shared($1, hashtext($2))) AS l"
    };
    sqlx::query(statement)
        .bind(LOCK_SPACE)
        .bind(stage)
        .execute(connection)
        .await
        .map_err(|error| StoreError::of("locking the ledger", error))?;
    Ok(())
}

/// Those of the ids that were applied before.
pub(crate) async fn applied(
    connection: &mut AnyConnection,
    stage: &str,
    ids: IdRanges,
) -> Result<IdRanges, StoreError> {
    let mut applied = IdRanges::default();
    for (first, last) in bounds(ids) {
        applied.extend(applied_between(connection, stage, (first, last)).await?);
    }
    Ok(applied)
}

/// The ids in the rows that may have some of these.
async fn applied_between(
    connection: &mut AnyConnection,
    stage: &str,
    (first, last): (u64, u64),
) -> Result<IdRanges, StoreError> {
    let mut applied = IdRanges::default();
    let rows = sqlx::query(
        "SELECT ids FROM applied_batches \
         WHERE stage = $1 AND last_major BETWEEN $2 AND $3 AND first_major <= $4",
    )
    .bind(stage)
    .bind(signed(first))
    .bind(signed(last.saturating_add(SPAN)))
    .bind(signed(last))
    .fetch_all(connection)
    .await
    .map_err(|error| StoreError::of("reading the ledger", error))?;
    for row in rows {
        let text: String = row
            .try_get(0)
            .map_err(|error| StoreError::of("reading the ledger", error))?;
        applied.extend(parse(&text)?);
    }
    Ok(applied)
}

/// When a message had its effects; `None` if it had none, or that was forgotten.
pub(crate) async fn applied_at(
    database: &Database,
    stage: &str,
    id: Id,
) -> Result<Option<UnixMillis>, StoreError> {
    let doing = "reading the ledger";
    let rows = sqlx::query(
        "SELECT ids, applied_at FROM applied_batches \
         WHERE stage = $1 AND last_major >= $2 AND first_major <= $2 ORDER BY applied_at",
    )
    .bind(stage)
    .bind(signed(id.0))
    .fetch_all(database.pool())
    .await
    .map_err(|error| StoreError::of(doing, error))?;
    for row in rows {
        let text: String = row
            .try_get(0)
            .map_err(|error| StoreError::of(doing, error))?;
        if parse(&text)?.contains(id) {
            let applied_at = row.try_get(1);
            let applied_at = applied_at.map_err(|error| StoreError::of(doing, error))?;
            return Ok(Some(UnixMillis(applied_at)));
        }
    }
    Ok(None)
}

/// Adds ids.
pub(crate) async fn add(
    connection: &mut AnyConnection,
    stage: &str,
    ids: impl IntoIterator<Item = Id>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    for ranges in IdRanges::of(ids).apart(SPAN) {
        let Some((first, last)) = ranges.bounds() else {
            continue;
        };
        sqlx::query(
            "INSERT INTO applied_batches \
             (stage, last_major, first_major, batch_id, ids, applied_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(stage)
        .bind(signed(last))
        .bind(signed(first))
        .bind(Uuid::new_v4().to_string())
        .bind(ranges.to_text())
        .bind(now.0)
        .execute(&mut *connection)
        .await
        .map_err(|error| StoreError::of("writing the ledger", error))?;
    }
    Ok(())
}

/// Keeps batches that hold some of these ids as if they were applied now, if they were applied
/// before `before`. Gives how many.
pub(crate) async fn keep(
    database: &Database,
    stage: &str,
    ids: impl IntoIterator<Item = Id>,
    (before, now): (UnixMillis, UnixMillis),
) -> Result<u64, StoreError> {
    let mut kept = 0;
    for (first, last) in bounds(IdRanges::of(ids)) {
        let result = sqlx::query(
            "UPDATE applied_batches SET applied_at = $1 \
             WHERE stage = $2 AND last_major BETWEEN $3 AND $4 AND first_major <= $5 \
                 AND applied_at < $6",
        )
        .bind(now.0)
        .bind(stage)
        .bind(signed(first))
        .bind(signed(last.saturating_add(SPAN)))
        .bind(signed(last))
        .bind(before.0)
        .execute(database.pool())
        .await
        .map_err(|error| StoreError::of("keeping entries of the ledger", error))?;
        kept += result.rows_affected();
    }
    Ok(kept)
}

/// Forgets batches that cannot come again: all of their ids are below `floor`, and they were
/// applied before `before`. Gives how many.
pub(crate) async fn prune(
    database: &Database,
    stage: &str,
    floor: u64,
    before: UnixMillis,
) -> Result<u64, StoreError> {
    let result = sqlx::query(
        "DELETE FROM applied_batches WHERE stage = $1 AND last_major < $2 AND applied_at < $3",
    )
    .bind(stage)
    .bind(signed(floor))
    .bind(before.0)
    .execute(database.pool())
    .await
    .map_err(|error| StoreError::of("pruning the ledger", error))?;
    Ok(result.rows_affected())
}

fn parse(ids: &str) -> Result<IdRanges, StoreError> {
    IdRanges::parse(ids).ok_or_else(|| StoreError::Corrupt {
        table: "applied_batches",
        detail: ids.to_owned(),
    })
}

/// The bounds of the parts in which ids are looked up.
fn bounds(ids: IdRanges) -> impl Iterator<Item = (u64, u64)> {
    let parts = ids.apart(SPAN).into_iter();
    parts.filter_map(|part| part.bounds())
}

/// The databases have no unsigned numbers; ids beyond theirs keep their order at the end.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
