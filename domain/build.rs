//! Rebuilds the crate when a sample of an event is added, so that the sample is compiled in.

fn main() {
    println!("cargo:rerun-if-changed=../schema/events");
}
