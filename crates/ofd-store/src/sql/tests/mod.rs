//! Both engines, the same statements.

mod sessions;
mod values;

use rusqlite::Connection;

use super::*;
use crate::postgres::{Purpose, Target};

/// A database of each engine with a table of every kind of column.
struct Bench {
    sqlite: Connection,
    postgres: PgSession,
    url: String,
}

impl Bench {
    fn new() -> Self {
        let cluster = pg_testing::shared_without_sync();
        let url = cluster.url(&cluster.create_database());
        let bench = Self {
            sqlite: Connection::open_in_memory().unwrap(),
            postgres: session(&url, Purpose::Writing),
            url,
        };
        for db in bench.both() {
            let sql = "CREATE TABLE kinds (id bigint PRIMARY KEY, number bigint, words text, bytes bytea)";
            assert_eq!(db.execute(sql, []).unwrap(), 0);
        }
        bench
    }

    fn both(&self) -> [Db<'_>; 2] {
        [Db::Sqlite(&self.sqlite), self.postgres()]
    }

    fn postgres(&self) -> Db<'_> {
        Db::Postgres(&self.postgres)
    }
}

fn session(url: &str, purpose: Purpose) -> PgSession {
    PgSession::new(Target::parse(url).unwrap(), purpose)
}

fn ids(db: Db<'_>) -> Vec<i64> {
    let mut statement = db.prepare("SELECT id FROM kinds ORDER BY id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_>>().unwrap()
}
