//! `minbus list`.

use minbus::{Address, Plugin};

use crate::args::List;
use crate::bus::client;
use crate::failure::Failure;
use crate::json::PluginLine;
use crate::output::Output;

pub(crate) async fn run(bus: Option<Address>, args: List) -> Result<(), Failure> {
    let bus = client(bus).await?;
    let plugins = bus.list().await?;
    let mut output = Output::new()?;
    if args.json {
        for plugin in &plugins {
            output.json(&PluginLine::from(plugin)).await?;
        }
    } else {
        output.write(table(&plugins)).await?;
    }
    output.finish().await?;
    bus.close().await?;
    Ok(())
}

/// Names and versions in columns.
fn table(plugins: &[Plugin]) -> String {
    let names: Vec<_> = plugins.iter().map(|plugin| plugin.name.to_string()).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    plugins.iter().zip(names).map(|(plugin, name)| format!("{name:width$}  {}\n", plugin.version)).collect()
}

#[cfg(test)]
mod tests {
    use minbus::Name;

    use super::*;

    #[test]
    fn columns_fit_the_longest_name() {
        let plugin = |name: &[u8], version| Plugin { name: Name::new(name).unwrap(), version };
        assert_eq!(table(&[plugin(b"a", 1), plugin(b"caf\xe9", 22)]), "a        1\ncaf\\xe9  22\n");
        assert_eq!(table(&[]), "");
    }
}
