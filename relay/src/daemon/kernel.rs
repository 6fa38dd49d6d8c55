//! What the kernel's own settings bound.

use std::fs;

use crate::config::Config;

/// Says what buffers of TCP sockets may take, if there are to be any and their size is left to the kernel.
pub(super) fn tcp_memory(config: &Config) -> Option<String> {
    let left_to_it = config.socket.tcp_send_buffer_bytes == 0 || config.socket.tcp_receive_buffer_bytes == 0;
    if config.listen.tcp.is_empty() || !left_to_it {
        return None;
    }
    let pages = fs::read_to_string("/proc/sys/net/ipv4/tcp_mem").ok().and_then(|text| most(&text));
    let bytes = pages.map(|pages| pages.saturating_mul(rustix::param::page_size() as u64));
    let most =
        bytes.map_or_else(String::new, |bytes| format!(", {} MiB for all of the machine", bytes.div_ceil(1 << 20)));
    Some(format!("buffers of TCP sockets: as net.ipv4.tcp_mem allows{most}"))
}

/// The last of three numbers: more than that is refused.
fn most(text: &str) -> Option<u64> {
    text.split_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tcp_memory_is_told_where_there_is_tcp() {
        assert_eq!(most("287901\t383868\t575802\n"), Some(575_802));
        let told = |text| tcp_memory(&Config::of_test(text)).is_some();
        assert!(!told(""));
        assert!(told("listen.tcp = [\"localhost:0\"]"));
        let fixed =
            "listen.tcp = [\"localhost:0\"]\n[socket]\ntcp_send_buffer_bytes = 8192\ntcp_receive_buffer_bytes = 8192";
        assert!(!told(fixed));
    }
}
