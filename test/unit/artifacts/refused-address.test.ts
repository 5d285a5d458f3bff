import fc from "fast-check";
import { expect, test } from "vitest";
import { isRefusedAddress, isRefusedHost } from "../../../lib/artifacts/refused-address.ts";

const hostOf = (url: string) => new URL(url).hostname;

test("metadata and link-local addresses are refused, in every form that a URL may write them", () => {
  for (const host of [
    "169.254.169.254",
    "169.254.169.254.",
    "169.254.0.1",
    "169.254.170.2",
    "169.254.170.23",
    "2852039166", // decimal
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376", // octal
    "169.254.43518", // three parts
    "169.16689662", // two parts
    "169.254.169.254", // full-width digits
    "169。254。169。254", // ideographic full stops
    "169%2e254%2e169%2e254",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[0:0:0:0:0:ffff:a9fe:a9fe]",
    "[::169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[2002:a9fe:a9fe::1]",
    "[fe80::1]",
    "[febf:ffff::1]",
    "[fd00:ec2::254]",
    "[fd00:0ec2:0000::23]",
    "[fd20:ce::254]",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "0",
    "[::]",
    "224.0.0.1",
    "255.255.255.255",
    "[ff02::1]",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "metadata",
  ]) {
    expect(isRefusedHost(hostOf(`http://${host}/latest`)), host).toBe(true);
  }
});

test("stores keep their addresses: public, private and loopback ones are not refused", () => {
  for (const host of [
    "8.8.8.8",
    "10.0.0.1",
    "172.16.3.4",
    "192.168.1.1",
    "127.0.0.1",
    "100.64.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "[::1]",
    "[fd12:3456::1]",
    "[2600:1f00::1]",
    "[64:ff9b::8.8.8.8]",
    "[::ffff:10.0.0.1]",
    "s3.eu-central-1.amazonaws.com",
    "metadata.example.com",
  ]) {
    expect(isRefusedHost(hostOf(`http://${host}/model.onnx`)), host).toBe(false);
  }
});

test("an address with a zone is judged without it", () => {
  expect(isRefusedAddress("fe80::1%eth0")).toBe(true);
});

test("an IPv4 address and the IPv6 ones that stand for it are judged alike", () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      const refused = isRefusedAddress(address);
      const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
      const hex = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
      expect(isRefusedAddress(`::ffff:${address}`)).toBe(refused);
      expect(isRefusedAddress(`::ffff:${hex}`)).toBe(refused);
      expect(isRefusedAddress(`64:ff9b::${address}`)).toBe(refused);
      expect(isRefusedAddress(`2002:${hex}::`)).toBe(refused);
      expect(
        isRefusedHost(String(((a << 24) | (b << 16) | (c << 8) | d) >>> 0)),
        "a bare number is no host form",
      ).toBe(false);
      expect(isRefusedHost(hostOf(`http://${((a << 24) | (b << 16) | (c << 8) | d) >>> 0}`))).toBe(refused);
    }),
  );
  fc.assert(
    fc.property(fc.nat(65_535), (low) => {
      expect(isRefusedAddress(`169.254.${low >> 8}.${low & 255}`)).toBe(true);
    }),
  );
});

test("whatever it is given, it answers", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.ipV6(), fc.domain()), (text) => {
      expect(typeof isRefusedHost(text)).toBe("boolean");
      expect(typeof isRefusedAddress(text)).toBe("boolean");
    }),
    { numRuns: 500 },
  );
});
