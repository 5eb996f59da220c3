//! Bodies of batches from documents that were read.

use jiff::Timestamp;
use ofd_store::{BatchDocument, BatchId, NewBatch};

use super::{Bodies, Ingredients, Session};
use crate::forwarder::body::{Identity, build, map_version};

impl Session<'_> {
    /// Builds one batch, if the documents of one were read. False when there is none left.
    pub(in crate::forwarder::driver) fn build_one(&mut self) -> bool {
        let Some(Ingredients { worker, bodies }) = self.ingredients.pop_front() else { return false };
        match self.scheduler.batch(worker) {
            Some(batch) => {
                let identity =
                    Identity { id: batch.id, created_at: batch.created_at, map_ver: batch.map_ver };
                self.rebuild(worker, identity, &bodies, batch.items.len());
            }
            None => self.build_new(worker, &bodies),
        }
        true
    }

    fn build_new(&mut self, worker: usize, bodies: &Bodies) {
        let now = self.now();
        let id = BatchId::from_bytes(uuid::Uuid::now_v7().into_bytes());
        let map_ver = map_version(self.driver.config.names);
        let created_at = Timestamp::now();
        let identity = Identity { id, created_at, map_ver };
        let first =
            bodies.documents.first().map(|_| build(&self.driver.envelope, identity, &bodies.documents));
        let hashes: Vec<Option<[u8; 32]>> = match first {
            Some(Ok(built)) => {
                let hashes = built.hashes.iter().copied().map(Some).collect();
                self.built.insert(id, built);
                hashes
            }
            unwritable => {
                let said = unwritable.and_then(Result::err).map(|error| error.to_string());
                let said = said
                    .or_else(|| bodies.error.clone())
                    .unwrap_or_else(|| "it is not in the journal".to_owned());
                self.unwritable.insert(worker, said);
                vec![None]
            }
        };
        self.scheduler.built(worker, id, created_at, map_ver, hashes.len(), now);
        let Some(batch) = self.scheduler.batch(worker) else {
            self.unwritable.remove(&worker);
            return;
        };
        self.touched.extend(batch.items.iter().map(|item| item.slot));
        let documents = batch
            .items
            .iter()
            .zip(hashes)
            .map(|(item, raw_sha256)| BatchDocument { seq: item.seq, raw_sha256 })
            .collect();
        self.new_batches.push(NewBatch { id, created_at, map_ver, documents });
        self.to_record.push((worker, id));
    }

    fn rebuild(&mut self, worker: usize, identity: Identity, bodies: &Bodies, documents: usize) {
        let mut envelope = self.driver.envelope.clone();
        // It fitted when it was made, perhaps by another setting.
        envelope.max_bytes = u64::MAX;
        match build(&envelope, identity, &bodies.documents) {
            Ok(built) if built.hashes.len() == documents => {
                self.built.insert(identity.id, built);
                self.ready.push(worker);
            }
            _ => {
                let now = self.now();
                let step = self.scheduler.give_up(worker, "its body can no longer be built as it was", now);
                self.record(step, &[]);
            }
        }
    }
}
