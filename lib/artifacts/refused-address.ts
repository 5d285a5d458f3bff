import { BlockList, isIP, isIPv6 } from "node:net";

/**
 * Addresses that hold no model, and at which a cloud hands its credentials to whoever asks from inside: a URI, a redirect or a
 * DNS answer that leads there is refused. Private ranges are not among them: stores in a cluster have private
 * addresses.
 */
const REFUSED: readonly (readonly [network: string, prefix: number])[] = [
  ["0.0.0.0", 8], // "this host": connects to loopback on Linux
  ["169.254.0.0", 16], // link-local: instance metadata of AWS, GCP, Azure, ECS and EKS credentials
  ["100.100.100.200", 32], // Alibaba metadata
  ["168.63.129.16", 32], // Azure WireServer
  ["192.0.0.192", 32], // Oracle metadata
  ["224.0.0.0", 4], // multicast
  ["240.0.0.0", 4], // reserved, and broadcast
  ["::", 128],
  ["fe80::", 10], // link-local
  ["ff00::", 8], // multicast
  ["fd00:ec2::", 32], // AWS services of an instance: metadata, DNS, EKS credentials
  ["fd20:ce::254", 128], // GCP metadata
];

const refused = new BlockList();
for (const [network, prefix] of REFUSED)
  refused.addSubnet(network, prefix, isIPv6(network) ? "ipv6" : "ipv4");

/** Names of metadata services, which a proxy would look up where we can't. */
const REFUSED_NAMES: ReadonlySet<string> = new Set([
  "metadata.google.internal",
  "metadata.goog",
  "metadata",
  "instance-data",
  "instance-data.ec2.internal",
]);

/** Whether an IP address in its usual text form (no brackets) is one of those; false for what is no address. */
export function isRefusedAddress(address: string): boolean {
  const [bare = ""] = address.split("%");
  switch (isIP(bare)) {
    case 4:
      return refused.check(bare, "ipv4");
    case 6:
      return refused.check(bare, "ipv6") || embeddedIPv4(bare).some((inner) => refused.check(inner, "ipv4"));
    default:
      return false;
  }
}

/**
 * Whether the host of a URL may not be asked. Give it `URL.hostname`: the URL parser has already turned odd forms
 * (`2852039166`, `0xa9.0xfe.0251.254`, a trailing dot, full-width digits) into the usual one.
 */
export function isRefusedHost(hostname: string): boolean {
  const host = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  return isRefusedAddress(host) || REFUSED_NAMES.has(host.replace(/\.$/, "").toLowerCase());
}

/**
 * The IPv4 addresses that an IPv6 one stands for where a network translates: mapped and compatible (RFC 4291 §2.5.5),
 * NAT64 (RFC 6052), 6to4 (RFC 3056).
 */
function embeddedIPv4(address: string): string[] {
  const groups = groupsOf(address);
  const inner = (high: number) => {
    const a = groups[high] ?? 0;
    const b = groups[high + 1] ?? 0;
    return `${a >> 8}.${a & 255}.${b >> 8}.${b & 255}`;
  };
  const leading = groups.slice(0, 5).every((group) => group === 0);
  if (leading && (groups[5] === 0xffff || groups[5] === 0)) {
    return groups[5] === 0 && groups[6] === 0 ? [] : [inner(6)];
  }
  if (groups[0] === 0x64 && groups[1] === 0xff9b) return [inner(6)];
  if (groups[0] === 0x2002) return [inner(1)];
  return [];
}

/** The eight 16-bit groups of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  // The URL parser writes each valid form as hexadecimal groups, without dots.
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = "", tail] = canonical.split("::");
  const parse = (part: string) =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  if (tail === undefined) return parse(head);
  const left = parse(head);
  const right = parse(tail);
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}
