/**
 * Which of `count` places a key has, by rendezvous hashing: the one with the highest score. Where there is one place more,
 * only the keys move for which that is the highest.
 */
export function rendezvous(key: string, count: number): number {
	const [high, low] = hashOf(key);
	let [best, bestScore] = [0, -1];
	for (let place = 0; place < count; place++) {
		const score = mix(high ^ mix(low + Math.imul(place + 1, 0x9e3779b9)));
		if (score > bestScore) [best, bestScore] = [place, score];
	}
	return best;
}

/** 64 bits of a key: FNV-1a, twice, from different beginnings. */
function hashOf(key: string): [number, number] {
	let [high, low] = [0x811c9dc5, 0x1b873593];
	for (let index = 0; index < key.length; index++) {
		const unit = key.charCodeAt(index);
		high = Math.imul(high ^ unit, 0x01000193);
		low = Math.imul(low ^ unit, 0x01000193) ^ (low >>> 15);
	}
	return [mix(high), mix(low)];
}

/** The finaliser of MurmurHash3: each bit of the input changes half of the output's. */
function mix(value: number): number {
	let bits = value;
	bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
	bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
	return (bits ^ (bits >>> 16)) >>> 0;
}
