"""The verifier for Node in docs/other-services.md, which needs no npm package."""

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from unittest import skipIf

import pytest

from project.tests.support.fake_service import EC, ED, KEYS, PAYLOAD, FakeServiceCase
from project.tests.support.paths import ROOT
from project.tests.support.signing import SECRET_HEADER, header, published, signed

pytestmark = pytest.mark.processes


PAGE = (ROOT / "docs" / "other-services.md").read_text()
NODE = shutil.which("node")
NOW = 1795381200
"""The script's time, in seconds."""
CLAIMS = PAYLOAD | {"iat": NOW, "exp": NOW + 60}
SCRIPT = """
import { createVerifier } from "./verify.mjs";
Date.now = () => NOW * 1000;
const verify = createVerifier(process.argv[2]);
const results = [];
for (const token of process.argv.slice(3)) {
  results.push(await verify(token).then((claims) => claims.sub, () => null));
}
console.log(JSON.stringify(results));
""".replace("NOW", str(NOW))


@skipIf(NODE is None, "node is not installed: the example for Node is NOT tested")
class TestNode(FakeServiceCase):
    """The page's verifier, in one Node process for each test."""

    def verified(self, *tokens: str) -> list[Any]:
        """Return the user id that the verifier returns for each token; None if it throws."""
        shown = re.search(r"```js\n(.*?)```", PAGE, re.DOTALL)
        assert shown is not None
        assert NODE is not None
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "verify.mjs").write_text(shown[1])
        (folder / "main.mjs").write_text(SCRIPT)
        done = subprocess.run(
            [NODE, "main.mjs", self.recorder.url, *tokens],
            cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        subjects: list[Any] = json.loads(done.stdout)
        return subjects

    def test_valid_tokens_are_accepted_and_others_rejected(self) -> None:
        self.service.keys = [published(EC), published(ED)]
        named = header(EC) | {"typ": "at+jwt"}
        good = [signed(EC, CLAIMS), signed(ED, CLAIMS), signed(EC, CLAIMS, named)]
        secret = published(EC)["x"].encode()
        bad = [
            signed(EC, CLAIMS | {"exp": NOW}),
            signed(EC, CLAIMS | {"nbf": NOW + 1}),
            signed(EC, CLAIMS | {"iat": NOW + 61}),
            signed(EC, CLAIMS | {"aud": "refresh"}),
            signed(EC, CLAIMS, header(EC) | {"typ": "refresh+jwt"}),
            signed(ED, CLAIMS, header(EC)),
            signed(EC, CLAIMS, header(EC) | {"kid": ED.thumbprint()}),
            signed(EC, CLAIMS, header(EC) | {"alg": "none"}),
            signed(secret, CLAIMS, SECRET_HEADER | {"kid": EC.thumbprint()}),
            signed(secret, CLAIMS),
            good[0][:-4] + "AAAA",
            good[0].rpartition(".")[0] + ".",
            good[0] + ".x",
            "x",
        ]
        unknown = [signed(EC, CLAIMS, header(EC) | {"kid": "A" * 43})] * 3
        subjects = self.verified(*good, *bad, *unknown)
        self.assertEqual(subjects, ["7"] * len(good) + [None] * (len(bad) + len(unknown)))
        self.assertEqual(self.count(KEYS), 2)  # at first, and once for unknown key ids
