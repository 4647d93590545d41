//! The admin API and its pages, as people and programs see them: the binary, a Redis and a SQLite.

#[path = "admin/auditing.rs"]
mod auditing;
#[path = "admin/bench.rs"]
mod bench;
#[path = "admin/browsing.rs"]
mod browsing;
#[path = "admin/deciding.rs"]
mod deciding;
#[path = "admin/feedback.rs"]
mod feedback;
#[path = "admin/guards.rs"]
mod guards;
#[path = "admin/health.rs"]
mod health;
#[path = "admin/pages.rs"]
mod pages;
#[path = "admin/people.rs"]
mod people;
