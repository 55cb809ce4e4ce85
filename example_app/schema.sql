-- Everything belongs to an owner (see visitor.py), and every query says whose rows it wants.

PRAGMA journal_mode = WAL;

CREATE TABLE IF NOT EXISTS conversation (
  id TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  title TEXT NOT NULL,
  model TEXT NOT NULL DEFAULT '',
  -- The system prompt.
  instructions TEXT NOT NULL DEFAULT '',
  updated_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS conversation_of_owner ON conversation (owner, updated_at);

-- A tree: messages with the same parent are versions of each other. The one chosen last is shown.
CREATE TABLE IF NOT EXISTS message (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  owner TEXT NOT NULL,
  -- NULL: deleted. An answer then has no text, but its cost stays in the usage view.
  conversation_id TEXT,
  parent_id INTEGER,
  role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
  text TEXT NOT NULL,
  -- Of an answer only: the model's thoughts before it, its id, and how the answer ended: 'writing'
  -- if it has not, 'done', or a word of history.py.
  thoughts TEXT NOT NULL DEFAULT '',
  model TEXT NOT NULL DEFAULT '',
  state TEXT NOT NULL DEFAULT 'done',
  -- NULL: OpenRouter did not report it, which it does at the very end of an answer.
  tokens INTEGER,
  cost REAL,
  -- Seconds since the epoch. An answer that is 'writing' and was not touched lately lost its worker.
  touched_at REAL NOT NULL,
  chosen_at REAL NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS message_of_conversation ON message (conversation_id, id);
CREATE INDEX IF NOT EXISTS message_of_owner ON message (owner, touched_at);

CREATE TRIGGER IF NOT EXISTS forget_messages BEFORE DELETE ON conversation BEGIN
  DELETE FROM message WHERE conversation_id = old.id AND role = 'user';
  UPDATE message SET conversation_id = NULL, text = '', thoughts = '',
    state = iif(state = 'writing', 'stopped', state) WHERE conversation_id = old.id;
END;

-- Why the last question was not paid for, as JSON (see problems.py), until one is.
CREATE TABLE IF NOT EXISTS trouble (
  owner TEXT PRIMARY KEY,
  problem TEXT NOT NULL,
  noted_at REAL NOT NULL
);

-- Free questions of today, by browser, by address, and in all. Addresses are deleted the next day.
CREATE TABLE IF NOT EXISTS trial (
  day TEXT NOT NULL,
  name TEXT PRIMARY KEY,
  used INTEGER NOT NULL
);

-- OpenRouter's list of models. ``shown``: as JSON for the picker.
CREATE TABLE IF NOT EXISTS model (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  shown TEXT NOT NULL,
  read_at REAL NOT NULL
);
