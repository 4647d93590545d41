//! Items as the elements of a list: a JSON object each or, when they are large, many in a packed
//! element.
//!
//! A packed element is `zstd:{items}:{bytes}:` and a zstd frame. The frame holds a JSON array of the
//! items, oldest first, `bytes` long; scripts and people read from the text in front how many there
//! are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::element;
use super::item::FeedbackItem;

/// Items in a packed element.
const PACKED_ITEMS_MAX: usize = 1_000;
/// Bytes of the items in a packed element, unless a single item has more.
const PACKED_BYTES_MAX: usize = 1 << 20;
/// A frame that claims to hold more was not written here, and is not unpacked.
const UNPACKED_BYTES_MAX: usize = 1 << 28;
const MARK: &[u8] = b"zstd:";
/// Before the text of what could not be read and is no text, or begins like this.
const ESCAPED: &str = "base64:";

/// An element of a list.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    /// How many items it is.
    pub(super) items: usize,
}

/// What the elements of a list are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) items: Vec<FeedbackItem>,
    /// Lossless: a text as it is, other bytes as `base64:` and their Base64.
    pub(super) unreadable: Vec<String>,
}

/// The elements of some items of one agent, oldest first; packed if they are larger than allowed.
pub(super) fn encode(
    items: &[&FeedbackItem],
    plain_bytes_max: usize,
) -> Result<Vec<Encoded>, std::io::Error> {
    let objects = items.iter().map(|item| element::write(item));
    let objects = objects.collect::<Result<Vec<_>, _>>()?;
    if objects.iter().map(Vec::len).sum::<usize>() <= plain_bytes_max {
        let plain = |bytes| Encoded { bytes, items: 1 };
        return Ok(objects.into_iter().map(plain).collect());
    }
    let mut elements = Vec::new();
    let mut rest = objects.as_slice();
    while !rest.is_empty() {
        let (pack, later) = rest.split_at(fitting(rest));
        elements.push(packed(pack)?);
        rest = later;
    }
    Ok(elements)
}

/// How many of some objects go into one packed element; one at least.
fn fitting(objects: &[Vec<u8>]) -> usize {
    let mut bytes = 0_usize;
    let fits = |object: &&Vec<u8>| {
        // A comma, and the brackets at the ends.
        bytes = bytes.saturating_add(object.len() + 1);
        bytes < PACKED_BYTES_MAX
    };
    let fitting = objects.iter().take(PACKED_ITEMS_MAX).take_while(fits);
    fitting.count().max(1)
}

fn packed(objects: &[Vec<u8>]) -> Result<Encoded, std::io::Error> {
    let mut array = b"[".to_vec();
    array.extend_from_slice(&objects.join(&b','));
    array.push(b']');
    let mut bytes = format!("zstd:{}:{}:", objects.len(), array.len()).into_bytes();
    bytes.extend(zstd::bulk::compress(
        &array,
        zstd::DEFAULT_COMPRESSION_LEVEL,
    )?);
    Ok(Encoded {
        bytes,
        items: objects.len(),
    })
}

/// Reads elements; those of a list come newest first, so they are given in reverse.
pub(super) fn decode(oldest_first: impl Iterator<Item = Vec<u8>>) -> Decoded {
    let mut decoded = Decoded::default();
    for element in oldest_first {
        match unpacked(&element) {
            Some(array) => decoded.take_array(&element, &array),
            None => decoded.take(&element),
        }
    }
    decoded
}

impl Decoded {
    fn take(&mut self, object: &[u8]) {
        match element::read(object) {
            Some(item) => self.items.push(item),
            None => self.unreadable.push(lossless(object)),
        }
    }

    /// One that is not readable does not spoil the others.
    fn take_array(&mut self, element: &[u8], array: &[u8]) {
        match serde_json::from_slice::<Vec<&RawValue>>(array) {
            Ok(objects) => objects
                .iter()
                .for_each(|object| self.take(object.get().as_bytes())),
            Err(_) => self.unreadable.push(lossless(element)),
        }
    }
}

/// The array in a packed element; nothing if it is none, or damaged.
fn unpacked(element: &[u8]) -> Option<Vec<u8>> {
    let mut parts = element.strip_prefix(MARK)?.splitn(3, |byte| *byte == b':');
    let mut number = || {
        std::str::from_utf8(parts.next()?)
            .ok()?
            .parse::<usize>()
            .ok()
    };
    let (_items, bytes) = (number()?, number()?);
    if bytes > UNPACKED_BYTES_MAX {
        return None;
    }
    zstd::bulk::decompress(parts.next()?, bytes).ok()
}

fn lossless(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.starts_with(ESCAPED) => text.to_owned(),
        Ok(_) | Err(_) => format!("{ESCAPED}{}", STANDARD.encode(bytes)),
    }
}
