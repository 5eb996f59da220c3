//! Registrations on real files and on a real server.

mod commit;
mod reading;

use crate::fixture::{Look, On, Place, on_both_engines};
use crate::registration::TaskFilter;
use crate::sql::Db;
use crate::support::{fd_number, fn_number};
use crate::tables::{registers as registers_sql, tasks};
use crate::{NewDocument, Registry};

/// A store, and a connection for looking into it.
struct Bench {
    place: Place,
    look: Look,
}

impl Bench {
    fn new() -> Self {
        let place = Place::new();
        let look = place.look();
        Self { place, look }
    }

    fn db(&self) -> Db<'_> {
        self.look.db()
    }

    fn append(&mut self, documents: &[NewDocument]) {
        self.place.append(documents.to_vec());
    }

    fn registry(&self) -> Registry {
        Registry::open(self.place.url()).unwrap()
    }
}
