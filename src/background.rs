//! Threads for a node's background work: projections, reactions and jobs. Requests have other threads, so background load does not delay
//! them.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Background threads; dropping this stops them.
pub struct Background(Option<Runtime>);

impl Background {
    pub fn start() -> Result<Self, io::Error> {
        let runtime = Builder::new_multi_thread()
            .thread_name("background")
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs a closure that spawns tasks; the tasks run on these threads.
    pub fn run(&self, spawns: impl FnOnce()) {
        let _entered = self.0.as_ref().map(Runtime::enter);
        spawns();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Dropping a runtime waits for its threads, which is not allowed on another runtime's threads.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
