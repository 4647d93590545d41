//! The event types that mean something to more than one worker. Any other name is fine too.

/// Somebody bought something: it has an amount and a currency, and perhaps an order id.
pub const PURCHASE: &str = "purchase";
/// Somebody looked at a page.
pub const PAGE_VIEW: &str = "page_view";
/// Somebody wrote a WhatsApp message.
pub const WHATSAPP_MESSAGE: &str = "whatsapp_message";
