//! redis-link
