// SPDX-License-Identifier: BSD-3-Clause
// Comforts only: without this script rows open by a click all the same.
(function () {
	"use strict";

	function reveal() {
		var target = location.hash && document.getElementById(location.hash.slice(1));
		for (var at = target; at; at = at.parentElement)
			if (at.tagName === "DETAILS")
				at.open = true;
		if (target)
			target.scrollIntoView({block: "nearest"});
	}

	function all(selector, open) {
		document.querySelectorAll(selector).forEach(function (one) {
			one.open = open;
		});
	}

	document.querySelector(".buttons").hidden = false;
	document.getElementById("open-steps").onclick = function () {
		all("details.scenario", true);
	};
	document.getElementById("close-all").onclick = function () {
		all("details", false);
	};
	// The same cell a second time closes its row again.
	document.addEventListener("click", function (event) {
		var link = event.target.closest("summary a.cell");
		var row = link && link.closest("details");
		if (row && row.open && location.hash === link.getAttribute("href")) {
			row.open = false;
			history.replaceState(null, "", "#");
			event.preventDefault();
		}
	});
	addEventListener("hashchange", reveal);
	reveal();
})();
