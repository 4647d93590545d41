//! Where a record is, and the id that tells it.

use crate::message_id::MessageId;

/// Set in the minor part of the id of every record, so that no id of Redis is ever the same.
const MARK: u64 = 1 << 63;
/// The offset takes the bits below, the partition those above.
const PARTITION_SHIFT: u32 = 44;
const OFFSET_MASK: u64 = (1 << PARTITION_SHIFT) - 1;

/// A partition and an offset in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

impl Place {
    /// The id of the record that is here, by its time in Unix milliseconds.
    pub(super) fn id(self, timestamp_ms: i64) -> MessageId {
        let partition = u64::try_from(self.partition).unwrap_or(0);
        let offset = u64::try_from(self.offset).unwrap_or(0) & OFFSET_MASK;
        MessageId {
            major: u64::try_from(timestamp_ms).unwrap_or(0),
            minor: MARK | (partition << PARTITION_SHIFT) | offset,
        }
    }

    /// Where the record of an id is; `None` for ids that are not Kafka's.
    pub(super) fn of(id: MessageId) -> Option<Self> {
        let inner = id.minor.checked_sub(MARK)?;
        Some(Self {
            partition: i32::try_from(inner >> PARTITION_SHIFT).ok()?,
            offset: i64::try_from(inner & OFFSET_MASK).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_where_its_record_is_and_is_ordered_as_the_records_of_a_partition() {
        for partition in [0, 1, 7, 100_000] {
            for offset in [0, 1, 1 << 40] {
                let place = Place { partition, offset };
                assert_eq!(Place::of(place.id(1_732_104_000_000)), Some(place));
                let next = Place {
                    offset: offset + 1,
                    ..place
                };
                assert!(place.id(5) < next.id(5) && next.id(5) < place.id(6));
                assert_eq!(place.id(-1).major, 0);
            }
        }
        let of_redis = MessageId { major: 5, minor: 7 };
        assert_eq!(Place::of(of_redis), None);
        assert!(
            Place {
                partition: 0,
                offset: 0
            }
            .id(5)
            .minor
                > u64::MAX / 2
        );
    }
}
