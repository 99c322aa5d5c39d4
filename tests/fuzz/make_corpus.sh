#!/bin/sh
# Makes tests/fuzz/corpus anew with other people's tools: openssl, veritysetup, systemd-repart, sbsign, cpio. Its result is
# committed; run it only to add a case. Whatever holds a random number or a time (ECDSA, PSS, signed attributes, the
# envelope, systemd-repart) comes out differently every time.
set -eu
cd "$(dirname "$0")"
keys=$(realpath ../data/keys)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf 2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a >"$work/roothash"
printf '2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a\n' >"$work/roothash-with-newline"

sign() {  # sign KEY OPTION...
  key=$1
  shift
  openssl smime -sign -binary -outform der -signer "$keys/$key.crt.pem" -inkey "$keys/$key.key.pem" "$@"
}
bytes() { python3 -c "import sys; d = open(sys.argv[1], 'rb').read(); sys.stdout.buffer.write($2)" "$1"; }

out=corpus/signature_pkcs7
rm -rf "$out"
mkdir -p "$out"
plain="-nocerts -noattr -md sha256 -in $work/roothash"
# shellcheck disable=SC2086  # the options are meant to be split
{
  sign rsa-2048 $plain >"$out/valid-rsa-2048.der"
  sign rsa-3072 $plain >"$out/valid-rsa-3072.der"
  sign p256 $plain >"$out/valid-p256.der"
  sign p384 $plain >"$out/valid-p384.der"
  sign rsa-2048 -nocerts -noattr -md sha384 -in "$work/roothash" >"$out/valid-sha384.der"
  sign rsa-2048 -nocerts -noattr -md sha512 -in "$work/roothash" >"$out/valid-sha512.der"
  sign rsa-2048 -noattr -md sha256 -in "$work/roothash" >"$out/valid-with-certificate.der"
  sign rsa-2048 $plain -signer "$keys/p256.crt.pem" -inkey "$keys/p256.key.pem" >"$out/two-signers.der"
  sign rsa-2048 -nocerts -noattr -md sha1 -in "$work/roothash" >"$out/digest-sha1.der"
  sign rsa-2048 -nocerts -noattr -md md5 -in "$work/roothash" >"$out/digest-md5.der"
  sign rsa-2048 -nocerts -noattr -md sha224 -in "$work/roothash" >"$out/digest-sha224.der"
  sign rsa-2048 -nocerts -md sha256 -in "$work/roothash" >"$out/signed-attributes.der"
  sign rsa-2048 $plain -nodetach >"$out/content-inside.der"
  sign rsa-2048 -nocerts -noattr -md sha256 -in "$work/roothash-with-newline" >"$out/over-a-newline-too.der"
  sign impostor-rsa-2048 $plain >"$out/impostor.der"
  sign rsa-1024 $plain >"$out/weak-rsa-1024.der"
}
openssl crl2pkcs7 -nocrl -outform der >"$out/zero-signers.der"
openssl crl2pkcs7 -nocrl -certfile "$keys/rsa-2048.crt.pem" -outform der >"$out/zero-signers-with-certificate.der"
openssl cms -sign -binary -nocerts -noattr -outform der -md sha256 -in "$work/roothash" \
  -signer "$keys/rsa-2048.crt.pem" -inkey "$keys/rsa-2048.key.pem" -keyopt rsa_padding_mode:pss >"$out/padding-pss.der"
openssl cms -sign -binary -nocerts -noattr -keyid -outform der -md sha256 -in "$work/roothash" \
  -signer "$keys/rsa-2048.crt.pem" -inkey "$keys/rsa-2048.key.pem" >"$out/signer-by-key-id.der"
openssl smime -encrypt -binary -outform der -aes128 -in "$work/roothash" "$keys/rsa-2048.crt.pem" >"$out/envelope.der"
printf '' >"$out/empty"
valid=$out/valid-rsa-2048.der
bytes "$valid" 'd + b"\0"' >"$out/trailing-bytes.der"
bytes "$valid" 'd + d' >"$out/twice.der"
bytes "$valid" 'd[:-1]' >"$out/cut-short.der"
bytes "$valid" 'd[:-1] + bytes([d[-1] ^ 1])' >"$out/value-bit-flipped.der"
bytes "$valid" 'b"\x30\x80" + d[4:] + b"\0\0"' >"$out/indefinite-length-ber.der"
bytes "$out/valid-p256.der" 'd[:-8] + b"\xff" * 8' >"$out/p256-value-changed.der"
# The value of an ECDSA signature is DER itself: a SEQUENCE (0x30) of two numbers, here with another tag. It stands behind
# the identifier of ecdsa-with-SHA256 and its own two bytes of header.
bytes "$out/valid-p256.der" '(lambda at: d[:at] + b"\x31" + d[at + 1:])(d.rindex(bytes.fromhex("2a8648ce3d040302")) + 10)' \
  >"$out/p256-value-is-no-der.der"
# Offsets from openssl asn1parse: the version behind the outer header; in the signer's part likewise; NULL (05 00) for
# parameters becomes an empty OCTET STRING (04 00), of the digest (the second time that it is named) and of the key.
bytes "$valid" 'd.replace(b"\x02\x01\x01\x31", b"\x02\x01\x02\x31", 1)' >"$out/version-2.der"
bytes "$valid" 'd.replace(b"\x02\x01\x01\x30", b"\x02\x01\x02\x30", 1)' >"$out/signer-version-2.der"
bytes "$valid" 'd[:d.rindex(b"\x02\x01\x05\0\x30")] + d[d.rindex(b"\x02\x01\x05\0\x30"):].replace(b"\x05", b"\x04", 1)' \
  >"$out/digest-parameters.der"
bytes "$valid" 'd.replace(b"\x01\x01\x01\x05\0", b"\x01\x01\x01\x04\0", 1)' >"$out/rsa-parameters.der"
# signedData without its (optional) content: once a crash in OpenSSL, CVE-2015-0289.
python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex("300b06092a864886f70d010702"))' >"$out/content-missing.der"

out=corpus/signature_json
rm -rf "$out"
mkdir -p "$out"
hash=$(cat "$work/roothash")
fingerprint=$(openssl x509 -in "$keys/rsa-2048.crt.pem" -outform der | sha256sum | cut -d' ' -f1)
value=$(base64 -w0 "$valid")
pad() { truncate -s %4096 "$1"; }
json() { printf '%s' "$2" >"$out/$1" && pad "$out/$1"; }
json valid '{"rootHash":"'"$hash"'","certificateFingerprint":"'"$fingerprint"'","signature":"'"$value"'"}'
json valid-without-fingerprint '{"rootHash":"'"$hash"'","signature":"'"$value"'"}'
json valid-with-unknown-members '{"comment":[1,{"a":null}],"signature":"'"$value"'","rootHash":"'"$hash"'"}'
printf '%s' '{"rootHash":"'"$hash"'","signature":"MA=="}' >"$out/valid-unpadded"
json root-hash-upper-case '{"rootHash":"'"$(echo "$hash" | tr a-f A-F)"'","signature":"'"$value"'"}'
json root-hash-short '{"rootHash":"2e53","signature":"'"$value"'"}'
json root-hash-missing '{"signature":"'"$value"'"}'
json root-hash-twice '{"rootHash":"'"$hash"'","rootHash":"'"$hash"'","signature":"'"$value"'"}'
json root-hash-a-number '{"rootHash":1,"signature":"'"$value"'"}'
json fingerprint-null '{"rootHash":"'"$hash"'","certificateFingerprint":null,"signature":"'"$value"'"}'
json fingerprint-short '{"rootHash":"'"$hash"'","certificateFingerprint":"00","signature":"'"$value"'"}'
json signature-missing '{"rootHash":"'"$hash"'"}'
json signature-empty '{"rootHash":"'"$hash"'","signature":""}'
json signature-with-line-feeds '{"rootHash":"'"$hash"'","signature":"MA\n=="}'
json signature-unused-bits-set '{"rootHash":"'"$hash"'","signature":"MB=="}'
json not-an-object '["rootHash"]'
json deeply-nested "$(python3 -c 'print("[" * 200)')"
json something-behind-the-value '{"rootHash":"'"$hash"'","signature":"MA=="} x'
printf '%s\0x' '{"rootHash":"'"$hash"'","signature":"MA=="}' >"$out/something-behind-the-padding"
printf '' >"$out/empty"
head -c 4096 /dev/zero >"$out/all-nul"
# The partition that systemd-repart writes for a root partition of noise; it is the third, at 1 + 8 + 8 MiB. Version 252
# puts the certificate into the signature.
mkdir "$work/repart.d"
head -c 1M /dev/urandom >"$work/noise"
sizes='SizeMinBytes=8M\nSizeMaxBytes=8M'
printf "[Partition]\nType=root\nCopyBlocks=$work/noise\nVerity=data\nVerityMatchKey=root\n$sizes\n" >"$work/repart.d/1.conf"
printf "[Partition]\nType=root-verity\nVerity=hash\nVerityMatchKey=root\n$sizes\n" >"$work/repart.d/2.conf"
printf '[Partition]\nType=root-verity-sig\nVerity=signature\nVerityMatchKey=root\n' >"$work/repart.d/3.conf"
systemd-repart --definitions="$work/repart.d" --empty=create --size=auto --dry-run=no --private-key="$keys/rsa-2048.key.pem" \
  --certificate="$keys/rsa-2048.crt.pem" "$work/disk.raw" >/dev/null
dd if="$work/disk.raw" bs=4096 skip=$((17 * 256)) count=4 status=none >"$out/made-by-systemd-repart-252"

out=corpus/superblock
rm -rf "$out"
mkdir -p "$out"
truncate -s 1M "$work/data"
superblock() {  # superblock NAME OPTION...
  name=$1
  shift
  veritysetup format "$work/data" "$work/tree" --uuid 00112233-4455-6677-8899-aabbccddeeff "$@" >/dev/null
  head -c 512 "$work/tree" >"$out/$name"
  rm "$work/tree"
}
superblock valid --salt "$hash"
superblock valid-without-salt --salt -
superblock valid-salt-of-256-bytes --salt "$(python3 -c 'print("5a" * 256)')"
superblock valid-blocks-of-512 --salt "$hash" --data-block-size 512 --hash-block-size 512
superblock valid-blocks-of-1024-and-4096 --salt "$hash" --data-block-size 1024
superblock valid-one-data-block --salt "$hash" --data-blocks 1
superblock hash-type-0 --salt "$hash" --format 0
superblock sha512 --salt "$hash" --hash sha512
bytes "$out/valid" 'd[:511]' >"$out/one-byte-short"
bytes "$out/valid" 'd[:511] + b"x"' >"$out/last-unused-byte-set"
bytes "$out/valid" 'd[:80] + b"\x01\x01" + d[82:]' >"$out/salt-size-257"
bytes "$out/valid" 'd[:72] + b"\xff" * 8 + d[80:]' >"$out/data-blocks-2-to-the-64"
bytes "$out/valid" 'd[:64] + b"\0\0\0\0" + d[68:]' >"$out/data-block-size-0"
printf '' >"$out/empty"

# PE files small enough to be mutated: headers of 1 KiB with room for 7 sections more, one section of code, .sbat; the
# layout of systemd's stub. UKIs are assembled here a second time, by other code than image/uki.cpp.
out=corpus/pe
rm -rf "$out"
mkdir -p "$out"
python3 - "$out" <<'PYTHON'
import struct, sys
def checksum(d, at):
    d = d[:at] + bytes(4) + d[at + 4:]
    s = sum(struct.unpack("<%dH" % ((len(d) + 1) // 2), d + bytes(len(d) % 2)))
    while s >> 16: s = (s & 0xffff) + (s >> 16)
    return d[:at] + struct.pack("<I", s + len(d)) + d[at + 4:]
def pe(sections, section_alignment=512, trailing=b""):
    up = lambda n, a: (n + a - 1) // a * a
    table, body, at, end, data = b"", b"", 1024, 0, 0
    for name, address, content, flags in sections:
        address = address if address is not None else up(end, 4096)
        raw = up(len(content), 512)
        table += struct.pack("<8sIIIIIIHHI", name, len(content), address, raw, at, 0, 0, 0, 0, flags)
        body += content + bytes(raw - len(content))
        at, end, data = at + raw, address + len(content), data + (raw if flags & 0x40 else 0)
    coff = struct.pack("<HHIIIHH", 0x8664, len(sections), 0, 0, 0, 240, 0x206)
    optional = struct.pack("<HBBIIIIIQIIHHHHHHIIIIHHQQQQII", 0x20b, 2, 40, 512, data, 0, 4096, 4096, 0, section_alignment, 512,
                           0, 0, 0, 0, 0, 0, 0, up(end, section_alignment), 1024, 0, 10, 0, 0, 0, 0, 0, 0, 16) + bytes(128)
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    headers = dos + b"PE\0\0" + coff + optional + table
    return checksum(headers + bytes(1024 - len(headers)) + body + trailing, 64 + 24 + 64)
stub = [(b".text", 4096, b"\xc3" * 100, 0x60000020), (b".sbat", 8192, b"sbat,1,a,b,c,d\n\0", 0x40000040)]
parts = [(b".osrel", None, b"ID=keelson\n", 0x40000040), (b".cmdline", None, b"quiet", 0x40000040), (b".uname", None, b"6.1.0", 0x40000040),
         (b".initrd", None, b"070701" * 90, 0x40000040), (b".linux", None, b"MZ kernel", 0x40000020)]
def write(name, content): open(sys.argv[1] + "/" + name, "wb").write(content)
uki = pe(stub + parts)
write("stub", pe(stub))
write("stub-with-symbols", pe(stub, trailing=b"symbols"))
write("uki", uki)
write("uki-with-pages", pe(stub + parts, 4096))
write("uki-in-another-order", pe(stub + parts[::-1]))
write("uki-with-a-part-twice", pe(stub + parts[:1] + parts))
write("uki-cut-short", uki[:-1])
write("gap-between-sections", uki[:0x188 - 64 + 16] + struct.pack("<I", 0) + uki[0x188 - 64 + 20:])
write("pe32", uki[:88] + b"\x0b\x01" + uki[90:])
write("empty", b"")
PYTHON
sbsign --key "$keys/rsa-2048.key.pem" --cert "$keys/rsa-2048.crt.pem" --output "$out/signed" "$out/stub" 2>/dev/null
sbsign --key "$keys/p256.key.pem" --cert "$keys/p256.crt.pem" --output "$out/signed-p256" "$out/uki" 2>/dev/null
sbsign --key "$keys/rsa-3072.key.pem" --cert "$keys/rsa-3072.crt.pem" --output "$out/signed-twice" "$out/signed" 2>/dev/null
sbsign --key "$keys/rsa-2048.key.pem" --cert "$keys/rsa-2048.crt.pem" --output "$out/signed-with-symbols" "$out/stub-with-symbols" 2>/dev/null
bytes "$out/signed" 'd + bytes(8)' >"$out/signed-and-zeros"
bytes "$out/signed" 'd[:-1] + bytes([d[-1] ^ 1])' >"$out/signed-last-bit-flipped"
# Archives of cpio(1), and what is wrong with them. Fields stand at 6 + 8 * number: mode 1, size 6, name's size 11.
out=corpus/cpio
rm -rf "$out"
mkdir -p "$out" "$work/tree/bin"
printf 'init' >"$work/tree/init"
printf '' >"$work/tree/empty"
ln -s ../init "$work/tree/bin/link"
ln "$work/tree/init" "$work/tree/hard-link"
mkfifo "$work/tree/fifo"
archive() { (cd "$work/tree" && cpio -o -H "$1" --quiet --reproducible -R 0:0) >"$out/$2"; }
printf '%s\n' . bin bin/link empty init | archive newc valid
(cd / && echo dev/null | cpio -o -H newc --quiet --reproducible -R 0:0) >"$out/valid-device"
printf '%s\n' ./bin ./init | archive newc valid-with-dots
printf '%s\n' hard-link init | archive newc valid-hard-links
printf '' | archive newc valid-nothing-in-it
printf 'init\n' | archive crc with-checksums
printf 'init\n' | archive odc old-format
printf 'fifo\n' | archive newc fifo
printf '%s\n' init init | archive newc twice
bytes "$out/valid" 'd[:100]' >"$out/cut-in-a-header"
bytes "$out/valid" 'd[:112]' >"$out/cut-behind-a-header"
bytes "$out/valid" 'd + d' >"$out/two-archives"
bytes "$out/valid" 'd[:54] + b"FFFFFFFF" + d[62:]' >"$out/endless-file"
bytes "$out/valid" 'd[:94] + b"FFFFFFFF" + d[102:]' >"$out/endless-name"
bytes "$out/valid" 'd[:94] + b"00000000" + d[102:]' >"$out/no-name"
bytes "$out/valid" 'd.replace(b"bin/link", b"../../ab")' >"$out/way-out"
bytes "$out/valid" 'd.replace(b"TRAILER!!!", b"trailer!!!")' >"$out/no-trailer"
printf '' >"$out/empty"

out=corpus/module_index
rm -rf "$out"
mkdir -p "$out"
index() { printf "$2\0$3" >"$out/$1"; }
index valid 'kernel/md/dm-verity.ko: kernel/md/dm-bufio.ko kernel/md/dm-mod.ko\nkernel/md/dm-bufio.ko.xz: kernel/md/dm-mod.ko\nkernel/md/dm-mod.ko.zst:\n' 'kernel/fs/ext4/ext4.ko\n'
index valid-without-modules '' ''
index circle 'a.ko: b.ko\nb.ko: a.ko\n' ''
index itself 'a.ko: a.ko\n' ''
index unknown-dependency 'a.ko: b.ko\n' 'b.ko\n'
index both-ways 'a.ko:\n' 'a.ko\n'
index way-out '../a.ko:\n' ''
index no-colon 'a.ko\n' ''
index two-of-one-name 'a-b.ko:\nextra/a_b.ko:\n' ''
python3 -c 'print("".join(f"m{i}.ko: m{i+1}.ko\n" for i in range(100)), end="")' >"$out/endless-chain"

out=corpus/release
rm -rf "$out"
mkdir -p "$out"
python3 - "$out" <<'PYTHON'
import base64, copy, hashlib, json, sys
def sha(n): return hashlib.sha256(bytes([n])).hexdigest()
def part(path, n): return {"path": path, "sha256": sha(n), "size_bytes": n}
hash = "2e534ef0107d592d1706ac38ad58596b85ef3375d360a6d669f974792df5cb5a"
parts = {"keelson_release": 1, "image": {"id": "node", "version": "1.0.0", "architecture": "x86-64"}, "commit": sha(1),
         "composer": {"version": 1, "compression": "lz4hc", "cluster_bytes": 65536, "compressor": "liblz4 1.9.4"},
         "erofs": {"uuid": "00112233-4455-6677-8899-aabbccddeeff", "time": 1795219200},
         "root": {"hash": hash, "signature": base64.b64encode(b"signature").decode(), "image_bytes": 4096, "hash_tree_bytes": 4096,
                  "slot_bytes": 1 << 20},
         "uki": {"form": "parts", "size_bytes": 9, "sha256": sha(2), "signature": "MAA=", "cmdline": "roothash=" + hash, "uname": "6.1.0",
                 "stub": part("stub", 3), "os_release": part("usr/lib/os-release", 4), "initrd": part("initrd", 5), "kernel": part("linux", 6)},
         "full_image": {"name": "root.zst", "size_bytes": 7, "sha256": sha(7), "compression": "zstd"},
         "agent": {"minimum_version": "0.1.0"}}
whole = copy.deepcopy(parts)
whole["uki"] = {"form": "whole", "name": "node.efi", "size_bytes": 9, "sha256": sha(2)}
whole["composer"] = {"version": 1, "compression": "none", "cluster_bytes": 4096, "compressor": ""}
def write(name, text): open(sys.argv[1] + "/" + name, "w").write(text)
def changed(name, *path_and_value):
    *path, key, value = path_and_value
    release = copy.deepcopy(parts)
    at = release
    for step in path: at = at[step]
    at[key] = value
    write(name, json.dumps(release))
write("valid-parts", json.dumps(parts, indent=2, sort_keys=True) + "\n")
write("valid-whole", json.dumps(whole))
write("a-key-twice", json.dumps(parts)[:-1] + ', "commit": 1}')
write("something-behind-it", json.dumps(parts) + "{}")
write("deeply-nested", "[" * 100)
write("empty", "")
changed("another-format", "keelson_release", 2)
changed("valid-with-certificate", "root", "certificate", sha(8))
changed("another-signature", "uki", "cmdline", "roothash=" + hash + " keelson.sig=" + sha(9))
changed("unknown-key", "uki", "x", 1)
changed("a-fraction", "erofs", "time", 1.5)
changed("beyond-64-bits", "root", "image_bytes", 1 << 64)
changed("larger-than-its-slot", "root", "image_bytes", 2 << 20)
changed("unused-bits-in-base64", "root", "signature", "MB==")
changed("way-out", "uki", "stub", "path", "usr/../../etc")
changed("another-root-hash", "uki", "cmdline", "roothash=" + sha(9))
changed("control-characters", "uki", "cmdline", "roothash=" + hash + "\x1b[2J")
PYTHON

# Images of EROFS, without the zeros at their ends: the fuzzer adds them again.
out=corpus/erofs
rm -rf "$out" "$work/tree"
mkdir -p "$out" "$work/tree/directory"
printf 'content' >"$work/tree/file"
ln "$work/tree/file" "$work/tree/directory/hard-link"
ln -s file "$work/tree/link"
mkfifo "$work/tree/fifo"
python3 -c 'print("".join(f"line {i}\n" for i in range(1500)), end="")' >"$work/tree/text"
erofs() {  # erofs NAME OPTION...
  name=$1
  shift
  mkfs.erofs --quiet --all-root -T0 -U 00000000-0000-0000-0000-000000000000 "$@" "$work/erofs" "$work/tree"
  bytes "$work/erofs" 'd.rstrip(b"\0")' >"$out/$name"
}
erofs valid-lz4hc -zlz4hc
erofs valid-lz4hc-large-clusters -zlz4hc -C65536
erofs valid-lz4hc-full-indexes -zlz4hc -C16384 -Elegacy-compress
rm "$work/tree/text"
erofs valid
erofs valid-extended -Eforce-inode-extended
printf 'x' >"$work/tree/attributes"
python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.one", b"value")' "$work/tree/attributes"
erofs valid-attributes -x1
bytes "$out/valid" 'd[:12] + d[:4000]' >"$out/no-magic"
bytes "$out/valid" 'd[:4100]' >"$out/cut-short"
printf '' >"$out/empty"

# FAT32 volumes by mkfs.vfat and mtools, as fat_reader_fuzzer.cpp takes them: the sectors that are not zero, each behind its
# number. Clusters have one sector; the root directory is cluster 2.
out=corpus/fat_reader
rm -rf "$out"
mkdir -p "$out"
truncate -s 40M "$work/fat"
mkfs.vfat -F 32 -s 1 -i 12345678 "$work/fat" >/dev/null
printf 'contents of a file' >"$work/file"
mmd -i "$work/fat" ::/EFI ::/EFI/Linux
mcopy -i "$work/fat" "$work/file" '::/EFI/Linux/node_1.0.0+3-0.efi'
mcopy -i "$work/fat" "$work/file" ::/lower.txt
head -c 1500 /dev/zero | tr '\0' x >"$work/file"
mcopy -i "$work/fat" "$work/file" '::/EFI/three clusters.bin'
python3 - "$out" "$work/fat" <<'PYTHON'
import struct, sys
volume = open(sys.argv[2], "rb").read()
get = lambda form, at: struct.unpack_from("<" + form, volume, at)[0]
reserved, table = get("H", 14), get("I", 36)
data = reserved + 2 * table
def write(name, *changes):
    d = bytearray(volume)
    for form, at, value in changes: struct.pack_into("<" + form, d, at, value)
    with open(sys.argv[1] + "/" + name, "wb") as f:
        for n in range(len(d) // 512):
            sector = bytes(d[n * 512:n * 512 + 512])
            # The backup boot sector and the second table are looked at by nobody here.
            if any(sector) and not (6 <= n < reserved) and not (reserved + table <= n < data): f.write(struct.pack("<H", n) + sector)
def entry(name):  # of its short name, in the data
    return data * 512 + volume[data * 512:].index(name)
fat = lambda cluster: reserved * 512 + 4 * cluster
def cluster_of(name): return get("H", entry(name) + 26)
write("valid")
write("root-goes-round", ("I", fat(2), 2))
write("directory-in-itself", ("H", entry(b"EFI        ") + 26, 2))
write("file-goes-round", ("I", fat(cluster_of(b"THREEC~1BIN") + 1), cluster_of(b"THREEC~1BIN")))
write("file-cut-short", ("I", fat(cluster_of(b"THREEC~1BIN")), 0x0fffffff))
write("file-leaves-the-volume", ("H", entry(b"THREEC~1BIN") + 20, 0xfff))
write("file-larger-than-the-volume", ("I", entry(b"THREEC~1BIN") + 28, 0xffffffff))
write("name-with-a-slash", ("B", entry(b"LOWER   TXT"), ord("/")))
write("long-name-of-another", ("B", entry(b"THREEC~1BIN"), ord("X")))
write("long-name-of-63-parts", ("B", entry(b"THREEC~1BIN") - 64, 0x7f))
write("sectors-of-0", ("H", 11, 0))
write("sectors-of-4096", ("H", 11, 4096))
write("clusters-of-128-sectors", ("B", 13, 128))
write("no-reserved-sectors", ("H", 14, 0))
write("table-of-2-to-the-32", ("I", 36, 0xffffffff))
write("second-table", ("H", 40, 0x81))
write("root-beyond", ("I", 44, 0x0fffff00))
write("fat-16", ("H", 17, 512))
open(sys.argv[1] + "/empty", "wb")
PYTHON

out=corpus/efi_update
rm -rf "$out"
mkdir -p "$out"
cert-to-efi-sig-list -g 11111111-2222-3333-4444-555555555555 "$keys/rsa-3072.crt.pem" "$work/db.esl"
update() {  # update VARIABLE LIST OUTPUT: signed with rsa-2048, at a fixed time
  sign-efi-sig-list -t "2026-11-21 10:11:12" -k "$keys/rsa-2048.key.pem" -c "$keys/rsa-2048.crt.pem" "$1" "$2" "$3" >"$work/log"
}
update db "$work/db.esl" "$out/valid"
update KEK "$work/db.esl" "$out/of-another-variable"
: >"$work/nothing"
update db "$work/nothing" "$out/to-nothing"
cert-to-efi-hash-list -g 11111111-2222-3333-4444-555555555555 "$keys/rsa-3072.crt.pem" "$work/hash.esl" >"$work/log"
update db "$work/hash.esl" "$out/hashes"
cat "$work/db.esl" "$work/db.esl" >"$work/two.esl"
update db "$work/two.esl" "$out/two-lists"
: >"$out/empty"
bytes "$out/valid" 'd[:39]' >"$out/half-a-header"
bytes "$out/valid" 'd[:-1]' >"$out/cut-short"
bytes "$out/valid" 'd[:2] + b"\x0d" + d[3:]' >"$out/month-13"
bytes "$out/valid" 'd[:12] + b"\x01" + d[13:]' >"$out/time-zone"
bytes "$out/valid" 'd[:16] + b"\xff\xff\xff\xff" + d[20:]' >"$out/signature-of-4-gib"
bytes "$out/valid" 'd[:16] + b"\x17\x00\x00\x00" + d[20:]' >"$out/signature-shorter-than-its-header"
bytes "$out/valid" 'd[:24] + b"\x00" + d[25:]' >"$out/another-authentication"
bytes "$out/valid" 'd[:80] + b"\xff" + d[81:]' >"$out/spoiled-signature"
bytes "$out/valid" 'd[:-20] + b"\x00" * 20' >"$out/spoiled-certificate"
list='(lambda at: d[:at] + %s + d[at + 4:])(16 + int.from_bytes(d[16:20], "little") + %s)'
# shellcheck disable=SC2059  # the format is the program
{
  bytes "$out/valid" "$(printf "$list" 'b"\xff\xff\xff\xff"' 16)" >"$out/list-of-4-gib"
  bytes "$out/valid" "$(printf "$list" 'b"\x00\x00\x00\x00"' 16)" >"$out/list-of-nothing"
  bytes "$out/valid" "$(printf "$list" 'b"\x01\x00\x00\x00"' 20)" >"$out/list-with-a-header"
  bytes "$out/valid" "$(printf "$list" 'b"\x00\x00\x00\x00"' 24)" >"$out/entries-of-nothing"
  bytes "$out/valid" "$(printf "$list" 'b"\xff\xff\xff\xff"' 24)" >"$out/entries-of-4-gib"
}

# Values of EFI variables, put together here a second time, by other code than agent/boot_loader.
out=corpus/efi_variable
rm -rf "$out"
mkdir -p "$out"
python3 - "$out" <<'PYTHON'
import struct, sys, uuid
text = lambda s: s.encode("utf-16-le") + bytes(2)
node = lambda kind, sub, body: struct.pack("<BBH", kind, sub, 4 + len(body)) + body
guid = uuid.UUID("0f3e1a2b-4c5d-4e6f-8a9b-0c1d2e3f4a5b").bytes_le
gpt = node(4, 1, struct.pack("<IQQ16sBB", 1, 2048, 1048576, guid, 2, 2))
mbr = node(4, 1, struct.pack("<IQQ16sBB", 1, 2048, 1048576, bytes(16), 1, 1))
pci = node(2, 1, bytes.fromhex("d041030a00000000")) + node(1, 1, b"\0\3") + node(3, 23, bytes(12))
file = node(4, 4, text("\\EFI\\systemd\\systemd-bootx64.efi"))
end, next_instance = node(0x7f, 0xff, b""), node(0x7f, 1, b"")
option = lambda paths, name="Keelson (spare 1)", rest=b"": struct.pack("<IH", 1, len(paths)) + text(name) + paths + rest
def write(name, content): open(sys.argv[1] + "/" + name, "wb").write(content)
write("entries", text("node_2+3-0.efi") + text("node_1.efi") + text("auto-reboot-to-firmware-setup"))
write("one-string-without-its-nul", text("node_1.efi")[:-2])
write("empty-strings", bytes(8))
write("half-a-surrogate", b"\x3d\xd8\0\0")
write("odd", b"abc")
write("empty", b"")
write("spare", option(gpt + file + end))
write("whole-path", option(pci + gpt + file + end, "UEFI OS", b"WINDOWS\0"))
write("file-in-parts", option(gpt + node(4, 4, text("\\EFI")) + node(4, 4, text("BOOT\\")) + node(4, 4, text("\\a.efi")) + end))
write("two-instances", option(gpt + next_instance + file + end))
write("without-gpt", option(mbr + file + end))
write("endless-description", option(gpt + end)[:20])
write("path-longer-than-the-rest", option(gpt + file + end)[:-1])
write("node-of-no-length", option(b"\4\1\0\0" + end))
write("node-beyond-the-path", option(b"\4\4\xff\xff" + end))
write("short-partition", option(node(4, 1, bytes(8)) + end))
write("no-end", option(gpt + file))
PYTHON
