//! Looking people up, for those who ask.

use std::collections::BTreeMap;

use common::{BrandId, Identifier, ProfileId};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::{IdentifierKey, Profiles, identifier_type, profile_id, text};
use crate::error::StoreError;
use crate::sql::{Column, Rows, fetch_with};

/// A person: origins that belong together, and their identifiers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonView {
    /// The person's id: that of one of the origins.
    pub profile_id: ProfileId,
    /// The brand.
    pub brand_id: BrandId,
    /// The origins.
    pub origins: Vec<ProfileId>,
    /// The identifiers of all of them, strongest first.
    pub identifiers: Vec<Identifier>,
}

impl Profiles {
    /// The person that an origin is part of.
    pub async fn person(&self, any_origin: ProfileId) -> Result<Option<PersonView>, StoreError> {
        let row = sqlx::query("SELECT root_id FROM profiles WHERE origin_id = $1")
            .bind(any_origin.to_string())
            .fetch_optional(self.database.pool())
            .await
            .map_err(|error| StoreError::of("looking up a profile", error))?;
        let Some(row) = row else { return Ok(None) };
        Ok(self.views(&[profile_id(&row, 0)?]).await?.pop())
    }

    /// The person that an identifier belongs to.
    pub async fn find(&self, key: &IdentifierKey) -> Result<Option<PersonView>, StoreError> {
        let known = self.known(&std::iter::once(key.clone()).collect()).await?;
        let Some(owner) = known.owners.get(key) else {
            return Ok(None);
        };
        Ok(self.views(&[owner.root_id]).await?.pop())
    }

    /// The people of a brand in order of their ids, after one of them, at most so many.
    pub async fn list(
        &self,
        brand_id: &BrandId,
        after: Option<ProfileId>,
        count: u32,
    ) -> Result<Vec<PersonView>, StoreError> {
        let rows = sqlx::query(
            "SELECT origin_id FROM profiles \
             WHERE brand_id = $1 AND origin_id > $2 AND origin_id = root_id \
             ORDER BY origin_id LIMIT $3",
        )
        .bind(brand_id.as_str())
        .bind(after.map(|id| id.to_string()).unwrap_or_default())
        .bind(i64::from(count))
        .fetch_all(self.database.pool())
        .await
        .map_err(|error| StoreError::of("listing profiles", error))?;
        let roots = rows
            .iter()
            .map(|row| profile_id(row, 0))
            .collect::<Result<Vec<_>, _>>()?;
        self.views(&roots).await
    }

    async fn views(&self, roots: &[ProfileId]) -> Result<Vec<PersonView>, StoreError> {
        let rows = self.database.rows(&[Column::Text("root_id")]);
        let statement = format!(
            "SELECT p.root_id, p.brand_id, p.origin_id, i.type, i.value FROM {} \
             JOIN profiles p ON p.root_id = v.root_id \
             LEFT JOIN identifiers i ON i.origin_id = p.origin_id",
            rows.table()
        );
        let values: Vec<(&ProfileId,)> = roots.iter().map(|root| (root,)).collect();
        let mut connection = self.database.connection().await?;
        let doing = "reading profiles";
        let mut people: BTreeMap<ProfileId, PersonView> = BTreeMap::new();
        for row in fetch_with(&mut connection, doing, statement, Rows::values(&values)?).await? {
            add_row(&mut people, &row)?;
        }
        let mut people: Vec<PersonView> = people.into_values().collect();
        for person in &mut people {
            person.origins.sort_unstable();
            person.origins.dedup();
            person.identifiers.sort_unstable();
        }
        Ok(people)
    }
}

fn add_row(people: &mut BTreeMap<ProfileId, PersonView>, row: &AnyRow) -> Result<(), StoreError> {
    let root = profile_id(row, 0)?;
    let brand = text(row, 1)?;
    let brand_id = BrandId::new(brand.as_str()).map_err(|_| StoreError::Corrupt {
        table: "profiles",
        detail: brand,
    })?;
    let person = people.entry(root).or_insert_with(|| PersonView {
        profile_id: root,
        brand_id,
        origins: Vec::new(),
        identifiers: Vec::new(),
    });
    person.origins.push(profile_id(row, 2)?);
    let value: Option<String> = row
        .try_get(4)
        .map_err(|error| StoreError::of("reading profiles", error))?;
    if let Some(value) = value {
        person.identifiers.push(Identifier {
            kind: identifier_type(row, 3)?,
            value,
        });
    }
    Ok(())
}
