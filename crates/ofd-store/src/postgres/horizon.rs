//! The horizon: up to which position the journal is settled, so that a reader who keeps a cursor passes over nothing.
//!
//! Positions come from a sequence and are seen when their transactions commit, which is not in their order. Every
//! transaction that takes positions holds a shared lock from before it takes the first until its rows are to be seen, or
//! are gone. So: read the newest position W, then look who holds the lock. Once none of those holds it any more,
//! everything up to W is settled; transactions that came later have greater positions.
//!
//! Neither question is answered from a snapshot. The horizon has to be taken before the snapshot with which the rows are
//! read: then all that it promises is in that snapshot.

/// The newest position that was ever taken.
#[cfg(test)]
pub(crate) const NEWEST: &str = "SELECT last_value FROM journal_seq";
/// The same, and by which connection with which start of the server it was asked.
pub(crate) const NEWEST_HERE: &str = "SELECT last_value, CAST(pg_backend_pid() AS BIGINT), \
     CAST(extract(epoch FROM pg_postmaster_start_time()) * 1000000 AS BIGINT) FROM journal_seq";
/// The transactions that have taken positions, or are about to; without our own.
pub(crate) const HOLDERS: &str = "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'advisory' \
     AND classid = 1179861828 AND objid = 1 AND objsubid = 2 AND pid <> pg_backend_pid() \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// What one session knows about the horizon. It does not outlive the session: another server may stand behind the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Horizon {
    settled: i64,
    /// A position, and who may still write below it.
    waiting: Option<(i64, Vec<String>)>,
}

impl Horizon {
    /// Takes in one look: the newest position, asked **before** who holds the lock.
    ///
    /// While there is always somebody writing, the horizon moves from look to look.
    pub(crate) fn advance(&mut self, newest: i64, holders: Vec<String>) -> i64 {
        if holders.is_empty() {
            self.settle(newest);
            self.waiting = None;
            return self.settled;
        }
        if let Some((position, writers)) = &self.waiting {
            if writers.iter().any(|writer| holders.contains(writer)) {
                return self.settled;
            }
            self.settle(*position);
        }
        self.waiting = Some((newest, holders));
        self.settled
    }

    fn settle(&mut self, position: i64) {
        self.settled = self.settled.max(position);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_moves_when_those_who_held_it_are_gone() {
        let mut horizon = Horizon::default();
        let mut look = |newest: i64, holders: &[&str], expected: i64| {
            let holders = holders.iter().map(|holder| (*holder).to_owned()).collect();
            assert_eq!(horizon.advance(newest, holders), expected, "{newest}");
        };
        look(10, &[], 10);
        look(20, &["3/7"], 10);
        // Others come and go; the one that may write below 20 is still there.
        look(30, &["3/7", "4/1"], 10);
        look(40, &["3/7"], 10);
        // The next transaction of the same session is another one.
        look(50, &["3/8"], 20);
        look(60, &["4/2"], 50);
        look(60, &[], 60);
        // It never goes back.
        look(55, &[], 60);
    }
}
