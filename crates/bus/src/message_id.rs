//! The place of a message in its topic.

use std::fmt;
use std::str::FromStr;

/// A message's id, ordered as the messages of its topic are. On Redis Streams it is the entry's
/// id: Unix milliseconds and a sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MessageId {
    /// The part that orders first.
    pub major: u64,
    /// The part that orders messages of the same `major`.
    pub minor: u64,
}

/// A text that is no message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a message id of the form 1732104000000-0")]
pub struct InvalidMessageId;

impl MessageId {
    /// Before every message.
    pub const ZERO: Self = Self { major: 0, minor: 0 };

    /// After every message.
    pub const MAX: Self = Self {
        major: u64::MAX,
        minor: u64::MAX,
    };

    /// The lowest id above this one.
    #[must_use]
    pub fn next(self) -> Self {
        match self.minor.checked_add(1) {
            Some(minor) => Self { minor, ..self },
            None => Self {
                major: self.major.saturating_add(1),
                minor: 0,
            },
        }
    }

    /// The highest id below this one; [`MessageId::ZERO`] has none and stays.
    #[must_use]
    pub fn previous(self) -> Self {
        match (self.minor.checked_sub(1), self.major.checked_sub(1)) {
            (Some(minor), _) => Self { minor, ..self },
            (None, Some(major)) => Self {
                major,
                minor: u64::MAX,
            },
            (None, None) => self,
        }
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.major, self.minor)
    }
}

impl FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(text: &str) -> Result<Self, InvalidMessageId> {
        let (major, minor) = text.split_once('-').ok_or(InvalidMessageId)?;
        let parse = |part: &str| part.parse().map_err(|_| InvalidMessageId);
        Ok(Self {
            major: parse(major)?,
            minor: parse(minor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_and_have_neighbours() {
        let id: MessageId = "1732104000000-7".parse().expect("an id");
        assert_eq!(id.to_string(), "1732104000000-7");
        assert_eq!(id.next().previous(), id);
        let first = MessageId { major: 5, minor: 0 };
        assert_eq!(
            first.previous(),
            MessageId {
                major: 4,
                minor: u64::MAX
            }
        );
        assert_eq!(first.previous().next(), first);
        assert!("12".parse::<MessageId>().is_err());
    }
}
