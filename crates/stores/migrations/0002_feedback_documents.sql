-- Feedback that is kept for good, where there is no MongoDB. extra is a JSON array of pairs.
CREATE TABLE feedback_documents (
    feedback_id TEXT PRIMARY KEY,
    agent_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    room_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    text TEXT,
    rating TEXT,
    reaction TEXT,
    created_at BIGINT NOT NULL,
    extra TEXT NOT NULL
);
CREATE INDEX feedback_documents_by_agent ON feedback_documents (agent_id, created_at);
