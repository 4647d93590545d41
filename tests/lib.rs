//! What the end-to-end tests share: a whole Millrace of real processes and servers, an independent
//! ledger of what was accepted, and the comparison of the two.

mod ledger;
mod sender;
mod sql;
mod stack;

pub use ledger::{Differences, Ledger, Sale};
pub use sender::Sender;
pub use sql::{SqlServer, sqlite};
pub use stack::Stack;
