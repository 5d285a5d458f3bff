import { createHash, createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyIdOf, newPrivateKey, readPrivateKeys, type SigningKey } from "../../../lib/signing/keys.ts";
import { signatureOf, verdictOn } from "../../../lib/signing/signature.ts";

const PURPOSE = "naru.dev/test/v1";

function newKey(): SigningKey {
  const [key] = readPrivateKeys(newPrivateKey());
  if (key === undefined) throw new Error("a new key can be read");
  return key;
}

const key = newKey();
const trusted = [key.publicKey];
const bytes = fc.uint8Array({ maxLength: 300 });

describe("a signature", () => {
  it("is plain Ed25519 over the purpose, a zero byte and the bytes, which any other implementation can verify", () => {
    const line = signatureOf(PURPOSE, Buffer.from("body"), [key]);
    const [id, text = ""] = line.split("=");
    const raw = Buffer.from(key.publicKey, "base64url");
    expect(id).toBe(createHash("sha256").update(raw).digest("hex").slice(0, 16));
    const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]);
    const publicKey = createPublicKey({ key: spki, format: "der", type: "spki" });
    const message = Buffer.from(`${PURPOSE}\0body`);
    expect(verify(null, message, publicKey, Buffer.from(text, "base64url"))).toBe(true);
  });

  it("is valid for what was signed, whatever it is", () => {
    fc.assert(
      fc.property(bytes, (body) => {
        expect(verdictOn(PURPOSE, body, signatureOf(PURPOSE, body, [key]), trusted)).toBe("valid");
      }),
    );
  });

  it("is refused when any byte of the body is another", () => {
    const cases = fc.tuple(
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
    );
    fc.assert(
      fc.property(cases, ([body, at, change]) => {
        const line = signatureOf(PURPOSE, body, [key]);
        const changed = Uint8Array.from(body, (byte, index) =>
          index === at % body.length ? byte ^ change : byte,
        );
        expect(verdictOn(PURPOSE, changed, line, trusted)).toBe("invalid");
      }),
    );
  });

  it("is refused when the body is longer or shorter, or a byte moves over to the purpose", () => {
    const line = signatureOf(PURPOSE, Buffer.from("body"), [key]);
    for (const other of ["bod", "body ", "", "\0body"]) {
      expect(verdictOn(PURPOSE, Buffer.from(other), line, trusted)).toBe("invalid");
    }
    expect(verdictOn(`${PURPOSE}0`, Buffer.from("body"), line, trusted)).toBe("invalid");
  });

  it("is refused when any character of it is another", () => {
    const body = Buffer.from("body");
    const line = signatureOf(PURPOSE, body, [key]);
    fc.assert(
      fc.property(fc.nat(line.length - 1), fc.integer({ min: 0x20, max: 0x7e }), (at, code) => {
        const changed = line.slice(0, at) + String.fromCharCode(code) + line.slice(at + 1);
        fc.pre(changed !== line);
        expect(verdictOn(PURPOSE, body, changed, trusted)).not.toBe("valid");
      }),
      { numRuns: 1000 },
    );
  });

  it.each([
    undefined,
    "",
    " ",
    "=",
    "abc",
    "a".repeat(16),
    `${"a".repeat(16)}=`,
    `${"a".repeat(16)}=${"A".repeat(85)}`,
  ])("is told from a line that is none: %j", (line) => {
    expect(verdictOn(PURPOSE, Buffer.from("body"), line, trusted)).toBe("malformed");
  });

  it("counts for nothing if its key is not trusted, or none is", () => {
    const body = Buffer.from("body");
    const line = signatureOf(PURPOSE, body, [newKey()]);
    expect(verdictOn(PURPOSE, body, line, trusted)).toBe("untrusted");
    expect(verdictOn(PURPOSE, body, line, [])).toBe("untrusted");
  });

  it("can't be passed off as a trusted key's by its name", () => {
    const body = Buffer.from("body");
    const [, text = ""] = signatureOf(PURPOSE, body, [newKey()]).split("=");
    expect(verdictOn(PURPOSE, body, `${keyIdOf(key.publicKey)}=${text}`, trusted)).toBe("invalid");
  });
});

describe("a change of keys", () => {
  const [old, next] = [newKey(), newKey()];
  const body = Buffer.from("body");

  it("is seamless while the operator signs with both, whichever of them is trusted", () => {
    const line = signatureOf(PURPOSE, body, [next, old]);
    for (const some of [[old], [next], [next, old]]) {
      expect(
        verdictOn(
          PURPOSE,
          body,
          line,
          some.map(({ publicKey }) => publicKey),
        ),
      ).toBe("valid");
    }
  });

  it("ends with the old key being worth nothing", () => {
    expect(verdictOn(PURPOSE, body, signatureOf(PURPOSE, body, [old]), [next.publicKey])).toBe("untrusted");
  });

  it("has a bound: a line of more signatures than there may be keys is none", () => {
    const line = signatureOf(PURPOSE, body, [next, old, newKey(), newKey(), newKey()]);
    expect(verdictOn(PURPOSE, body, line, [next.publicKey])).toBe("malformed");
  });
});

describe("private keys as PEM", () => {
  it("are read in their order, with text between them", () => {
    const [one, two] = [newPrivateKey(), newPrivateKey()];
    const publicKeys = (pem: string) => readPrivateKeys(pem).map(({ publicKey }) => publicKey);
    expect(publicKeys(`# new\n${one}\n# old\n${two}`)).toEqual([...publicKeys(one), ...publicKeys(two)]);
    expect(publicKeys(one)).toEqual([expect.stringMatching(/^[A-Za-z0-9_-]{43}$/)]);
  });

  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
  const secret = newPrivateKey().split("\n")[1] ?? "";
  it.each([
    ["nothing", ""],
    ["no PEM", "keys"],
    ["another kind of key", rsa.export({ format: "pem", type: "pkcs8" }).toString()],
    ["a broken one", `-----BEGIN PRIVATE KEY-----\n${secret.slice(0, 40)}\n-----END PRIVATE KEY-----\n`],
    ["too many", newPrivateKey().repeat(5)],
    ["far too much", " ".repeat(100_000)],
  ])("are refused without a word of what they hold: %s", (_, pem) => {
    const refusal = () => readPrivateKeys(pem);
    expect(refusal).toThrow(expect.objectContaining({ code: "SigningKeysInvalid" }));
    expect(refusal).not.toThrow(secret.slice(0, 20));
  });
});
