//! Post views that are counted in Redis.

use super::part::key;

key! {
    /// The view count of one post as readers see it, a cache over SQL.
    PostViewsKey = "post:views:{postId}" {
        /// The post.
        post_id: String
    } "post:views"
}

key! {
    /// `1` while a user's view of a post has been counted within the last 24 hours.
    UserViewKey = "user:view:{userId}:{postId}" {
        /// The user.
        user_id: String,
        /// The post.
        post_id: String
    } "user:view"
}

key! {
    /// A set of the posts with counts that are not yet in SQL.
    PendingViewsKey = "pending:views"
}

key! {
    /// The owner token of the syncer that is flushing.
    ViewBatchLockKey = "view:batch:lock"
}
