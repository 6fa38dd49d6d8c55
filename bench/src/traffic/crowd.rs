//! Many plugins at once, each with batches for another one: one thread writes for all of them and one reads.

use anyhow::{Context, Result};

use super::end::End;
use super::flow::{self, Manner};
use super::sample::{Sample, Setting};
use crate::plugin::Plugin;
use crate::server::Server;

/// What a crowd does: batches of `count` messages of `size` bytes from each writer, to the readers in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) writers: usize,
    pub(crate) readers: usize,
    pub(crate) size: usize,
    pub(crate) count: usize,
}

/// Everybody who has the credit writes a batch in turn; the others wait for credit.
pub(crate) fn measure(server: &mut Server, setting: &Setting, crowd: Crowd) -> Result<Sample> {
    let (mut writers, mut readers) = connect(server, crowd)?;
    let pid = server.pid();
    let [mut writers, mut readers] = [&mut writers, &mut readers].map(|ends| ends.iter_mut().collect::<Vec<_>>());
    let manner = Manner { skips: true, ..Manner::default() };
    let watch = |going: &flow::Going| going.sample(setting, pid, crowd.size);
    Ok(flow::during(&mut writers, &mut readers, manner, watch)?.0)
}

fn connect(server: &mut Server, crowd: Crowd) -> Result<(Vec<End>, Vec<End>)> {
    let name = |side: &str, index: usize| format!("bench-{side}-{index}");
    let register = |index| Ok((Plugin::register(server.connect()?, &name("reader", index))?, None));
    let mut readers = (0..crowd.readers).map(register).collect::<Result<Vec<_>>>()?;
    let mut writers = Vec::new();
    for index in 0..crowd.writers {
        let plugin = Plugin::register(server.connect()?, &name("writer", index))?;
        let peer = index % crowd.readers;
        let (reader, keys) = &mut readers[peer];
        let channel = End::to(plugin, reader, &name("reader", peer));
        let (mut writer, theirs) = channel.with_context(|| format!("after {index} channels"))?;
        *keys = Some(theirs);
        writer.fill(crowd.size, Some(crowd.count));
        writers.push(writer);
    }
    let reader = |(plugin, keys): (Plugin, Option<_>)| End::reader(plugin, keys.expect("somebody writes"), crowd.size);
    Ok((writers, readers.into_iter().map(reader).collect()))
}
