//! The threads of what a node does by itself: posting read models, reacting, working off what is due. However much of that there is,
//! requests are answered on others.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Threads that end with this.
pub struct Background(Option<Runtime>);

impl Background {
    pub fn start() -> Result<Self, io::Error> {
        let runtime = Builder::new_multi_thread()
            .thread_name("background")
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs what spawns tasks; they run on these threads.
    pub fn run(&self, spawns: impl FnOnce()) {
        let _entered = self.0.as_ref().map(Runtime::enter);
        spawns();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // A runtime that is dropped waits for its threads, which those of another runtime may not.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
