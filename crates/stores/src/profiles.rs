//! Profiles: origins, the identifiers that belong to them, and the people they make up.

mod reading;

use std::collections::{BTreeSet, HashMap};

use common::{
    BrandId, EventId, Identifier, IdentifierType, ObservedIdentifier, ProfileId, UnixMillis,
};
use crash_points::{CrashPoint, reached};
use sqlx::{AnyConnection, Row as _};

pub use self::reading::PersonView;
use crate::error::StoreError;
use crate::sql::{Column, Database, Rows, fetch_with};

/// An identifier of a brand.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentifierKey {
    /// The brand.
    pub brand_id: BrandId,
    /// The identifier in its normal form.
    pub identifier: Identifier,
}

/// Whose an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The origin it belongs to for ever.
    pub origin_id: ProfileId,
    /// The person that the origin is part of now.
    pub root_id: ProfileId,
}

/// What matters about a person when identifiers are attached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Person {
    /// Whether any identifier names the person rather than a browser or device.
    pub strong: bool,
    /// The brand's own ids of the person; more than one is a conflict that somebody accepted.
    pub user_ids: BTreeSet<String>,
}

/// What is known about the identifiers of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownProfiles {
    /// The owners of those that have one.
    pub owners: HashMap<IdentifierKey, Owner>,
    /// The people that the owners are part of, by their root.
    pub people: HashMap<ProfileId, Person>,
}

/// An origin that is to be created.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NewProfile {
    /// Its id, which follows from its first identifier.
    pub origin_id: ProfileId,
    /// Its brand and first identifier.
    pub first: IdentifierKey,
    /// The event that showed it.
    pub event_id: EventId,
}

/// An identifier that is to belong to an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewIdentifier {
    /// The brand.
    pub brand_id: BrandId,
    /// The identifier.
    pub observed: ObservedIdentifier,
    /// Its origin.
    pub origin_id: ProfileId,
    /// The event that showed it.
    pub event_id: EventId,
}

/// The profiles.
#[derive(Debug, Clone)]
pub struct Profiles {
    database: Database,
}

impl Profiles {
    /// The profiles in a database.
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Whose these identifiers are: two statements, however many they are.
    pub async fn known(
        &self,
        identifiers: &BTreeSet<IdentifierKey>,
    ) -> Result<KnownProfiles, StoreError> {
        let mut known = KnownProfiles::default();
        if identifiers.is_empty() {
            return Ok(known);
        }
        let mut connection = self.database.connection().await?;
        known.owners = self.owners(&mut connection, identifiers).await?;
        let roots: BTreeSet<ProfileId> = known.owners.values().map(|owner| owner.root_id).collect();
        if !roots.is_empty() {
            known.people = self.people(&mut connection, &roots).await?;
        }
        Ok(known)
    }

    /// Creates origins and attaches identifiers. `false` if somebody else attached one of the
    /// identifiers meanwhile: then nothing was changed, and the batch must be resolved anew.
    pub async fn add(
        &self,
        profiles: &BTreeSet<NewProfile>,
        identifiers: &[NewIdentifier],
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.database.begin().await?;
        self.insert_profiles(&mut transaction, profiles, now)
            .await?;
        let inserted = self
            .insert_identifiers(&mut transaction, identifiers, now)
            .await?;
        if inserted < identifiers.len() {
            return Ok(false);
        }
        reached(CrashPoint::StoresProfilesCommitting);
        let committed = transaction.commit().await;
        committed.map_err(|error| StoreError::of("committing profiles", error))?;
        reached(CrashPoint::StoresProfilesCommitted);
        Ok(true)
    }

    async fn owners(
        &self,
        connection: &mut AnyConnection,
        identifiers: &BTreeSet<IdentifierKey>,
    ) -> Result<HashMap<IdentifierKey, Owner>, StoreError> {
        let keys: Vec<&IdentifierKey> = identifiers.iter().collect();
        let values: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(number, key)| {
                let Identifier { kind, value } = &key.identifier;
                (number, key.brand_id.as_str(), kind.as_str(), value.as_str())
            })
            .collect();
        let rows = self.database.rows(&[
            Column::Number("number"),
            Column::Text("brand_id"),
            Column::Text("type"),
            Column::Text("value"),
        ]);
        let statement = format!(
            "SELECT v.number, i.origin_id, p.root_id FROM {} \
             JOIN identifiers i \
                 ON i.brand_id = v.brand_id AND i.type = v.type AND i.value = v.value \
             JOIN profiles p ON p.origin_id = i.origin_id",
            rows.table()
        );
        let doing = "looking up identifiers";
        let mut owners = HashMap::new();
        for row in fetch_with(connection, doing, statement, Rows::values(&values)?).await? {
            let number: i64 = row
                .try_get(0)
                .map_err(|error| StoreError::of(doing, error))?;
            let key = usize::try_from(number)
                .ok()
                .and_then(|number| keys.get(number));
            let owner = Owner {
                origin_id: profile_id(&row, 1)?,
                root_id: profile_id(&row, 2)?,
            };
            owners.extend(key.map(|key| ((*key).clone(), owner)));
        }
        Ok(owners)
    }

    async fn people(
        &self,
        connection: &mut AnyConnection,
        roots: &BTreeSet<ProfileId>,
    ) -> Result<HashMap<ProfileId, Person>, StoreError> {
        let values: Vec<(&ProfileId,)> = roots.iter().map(|root| (root,)).collect();
        let rows = self.database.rows(&[Column::Text("root_id")]);
        // Who has strong identifiers, and which ids of the brand's own; not every identifier.
        let statement = format!(
            "SELECT DISTINCT v.root_id, i.type, \
                 CASE WHEN i.type = 'user_id' THEN i.value ELSE '' END \
             FROM {} JOIN profiles p ON p.root_id = v.root_id \
             JOIN identifiers i ON i.origin_id = p.origin_id",
            rows.table()
        );
        let doing = "looking up people";
        let mut people: HashMap<ProfileId, Person> = HashMap::new();
        for row in fetch_with(connection, doing, statement, Rows::values(&values)?).await? {
            let person = people.entry(profile_id(&row, 0)?).or_default();
            let kind: IdentifierType = identifier_type(&row, 1)?;
            person.strong |= kind.is_strong();
            if kind == IdentifierType::UserId {
                let value = row
                    .try_get(2)
                    .map_err(|error| StoreError::of(doing, error))?;
                person.user_ids.insert(value);
            }
        }
        Ok(people)
    }

    async fn insert_profiles(
        &self,
        connection: &mut AnyConnection,
        profiles: &BTreeSet<NewProfile>,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        if profiles.is_empty() {
            return Ok(());
        }
        let values: Vec<_> = profiles
            .iter()
            .map(|profile| {
                let IdentifierKey {
                    brand_id,
                    identifier,
                } = &profile.first;
                let id = profile.origin_id;
                (
                    id,
                    brand_id,
                    identifier.kind,
                    &identifier.value,
                    profile.event_id,
                    now.0,
                )
            })
            .collect();
        let rows = self.database.rows(&[
            Column::Text("origin_id"),
            Column::Text("brand_id"),
            Column::Text("type"),
            Column::Text("value"),
            Column::Text("event_id"),
            Column::Number("created_at"),
        ]);
        let statement = format!(
            "INSERT INTO profiles (origin_id, brand_id, root_id, identifier_type, \
                 identifier_value, first_event_id, created_at) \
             SELECT v.origin_id, v.brand_id, v.origin_id, v.type, v.value, v.event_id, \
                 v.created_at \
             FROM {} WHERE true ON CONFLICT (origin_id) DO NOTHING",
            rows.table()
        );
        fetch_with(
            connection,
            "creating profiles",
            statement,
            Rows::values(&values)?,
        )
        .await?;
        Ok(())
    }

    /// Gives how many were inserted; the others belong to somebody.
    async fn insert_identifiers(
        &self,
        connection: &mut AnyConnection,
        identifiers: &[NewIdentifier],
        now: UnixMillis,
    ) -> Result<usize, StoreError> {
        if identifiers.is_empty() {
            return Ok(0);
        }
        let mut values: Vec<_> = identifiers
            .iter()
            .map(|new| {
                let ObservedIdentifier {
                    identifier,
                    raw,
                    rule_version,
                } = &new.observed;
                let key = (&new.brand_id, identifier.kind, &identifier.value);
                (
                    key.0,
                    key.1,
                    key.2,
                    new.origin_id,
                    raw,
                    rule_version,
                    new.event_id,
                    now.0,
                )
            })
            .collect();
        // Everybody locks rows in the same order, so nobody waits in a circle.
        values.sort_unstable_by_key(|value| (value.0, value.1, value.2));
        let rows = self.database.rows(&[
            Column::Text("brand_id"),
            Column::Text("type"),
            Column::Text("value"),
            Column::Text("origin_id"),
            Column::Text("raw"),
            Column::Number("rule_version"),
            Column::Text("event_id"),
            Column::Number("seen_at"),
        ]);
        let statement = format!(
            "INSERT INTO identifiers (brand_id, type, value, origin_id, raw, rule_version, \
                 first_event_id, first_seen_at) \
             SELECT v.brand_id, v.type, v.value, v.origin_id, v.raw, v.rule_version, v.event_id, \
                 v.seen_at \
             FROM {} WHERE true ON CONFLICT (brand_id, type, value) DO NOTHING RETURNING value",
            rows.table()
        );
        let values = Rows::values(&values)?;
        let rows = fetch_with(connection, "attaching identifiers", statement, values).await?;
        Ok(rows.len())
    }
}

fn text(row: &sqlx::any::AnyRow, index: usize) -> Result<String, StoreError> {
    row.try_get(index)
        .map_err(|error| StoreError::of("reading profiles", error))
}

fn profile_id(row: &sqlx::any::AnyRow, index: usize) -> Result<ProfileId, StoreError> {
    let id = text(row, index)?;
    id.parse().map_err(|_| StoreError::Corrupt {
        table: "profiles",
        detail: id,
    })
}

fn identifier_type(row: &sqlx::any::AnyRow, index: usize) -> Result<IdentifierType, StoreError> {
    let kind = text(row, index)?;
    kind.parse().map_err(|_| StoreError::Corrupt {
        table: "identifiers",
        detail: kind,
    })
}
