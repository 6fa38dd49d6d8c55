//! `minbus list`.

use minbus::{Address, Plugin};

use crate::args::List;
use crate::connect::client;
use crate::failure::Failure;
use crate::json::{self, PluginLine};
use crate::stdout;

pub(crate) async fn run(bus: Option<Address>, args: List) -> Result<(), Failure> {
    let bus = client(bus).connect().await?;
    let plugins = bus.list().await?;
    if args.json {
        plugins.iter().try_for_each(|plugin| json::line(&PluginLine::from(plugin)))?;
    } else {
        stdout::write(table(&plugins).as_bytes())?;
    }
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
