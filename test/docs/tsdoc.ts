/** The examples in TSDoc comments, which typedoc carries into `docs/api`, and whether they compile. */
import { join, relative } from 'node:path';
import ts from 'typescript';
import { ROOT } from '../../docs/.vitepress/quotes.ts';

interface Example {
	file: string;
	/** Of its first line of code. */
	line: number;
	code: string;
}

const FOLDER = join(ROOT, 'test/types/tsdoc');
const PREAMBLE = join(FOLDER, 'preamble.ts');

/** The `ts` blocks in the comments of a source file. */
export function examplesIn(file: string, source: string): Example[] {
	return [...source.matchAll(/\* +```ts\n([\s\S]*?)^\t* \* +```$/gm)].map((match) => ({
		file,
		line: source.slice(0, match.index).split('\n').length + 1,
		code: (match[1] ?? '').replaceAll(/^\t* \* ?/gm, ''),
	}));
}

/** Type-checks the preamble and each example, as a file of its own: `FILE:LINE: MESSAGE` for each error. */
export function errorsIn(examples: readonly Example[]): string[] {
	const byPath = new Map(examples.map((example, index) => [join(FOLDER, `${index}.ts`), example]));
	const texts = new Map([...byPath].map(([path, { code }]) => [path, asModule(code)]));
	const withoutImports = programOf(texts);
	for (const [path, text] of texts) texts.set(path, importsFor(path, withoutImports) + text);
	const program = programOf(texts, withoutImports);

	return [PREAMBLE, ...texts.keys()].flatMap((path) => {
		const { file, line } = byPath.get(path) ?? { file: relative(ROOT, path), line: 1 };
		const source = program.getSourceFile(path);
		return [
			...program.getSyntacticDiagnostics(source),
			...program.getSemanticDiagnostics(source),
		].map(({ start = 0, messageText }) => {
			const above = source?.getLineAndCharacterOfPosition(start).line ?? 0;
			return `${file}:${line + above}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
		});
	});
}

/** Code without imports and exports may be part of a function, with a `return`. Adds no line above it, as errors name lines. */
function asModule(code: string): string {
	return /^(?:import|export)\b/m.test(code) ? code : `async () => { ${code} };`;
}

/** The preamble and files that are not on disk. What an earlier program has parsed is not parsed again. */
function programOf(texts: ReadonlyMap<string, string>, earlier?: ts.Program): ts.Program {
	const { config } = ts.readConfigFile(join(FOLDER, 'tsconfig.json'), ts.sys.readFile);
	const { options } = ts.parseJsonConfigFileContent(config, ts.sys, FOLDER);
	const host = ts.createCompilerHost(options);
	const { getSourceFile } = host;
	host.getSourceFile = (path, settings) => {
		const text = texts.get(path);
		if (text !== undefined) return ts.createSourceFile(path, text, settings);
		return earlier?.getSourceFile(path) ?? getSourceFile(path, settings);
	};
	return ts.createProgram([PREAMBLE, ...texts.keys()], options, host, earlier);
}

/** Imports what the preamble exports, except for the names that the file declares or imports itself. */
function importsFor(path: string, program: ts.Program): string {
	const file = program.getSourceFile(path);
	const preamble = program.getSourceFile(PREAMBLE);
	const checker = program.getTypeChecker();
	const module = preamble && checker.getSymbolAtLocation(preamble);
	if (!file || !module) throw new Error(`The program lacks ${path}, or the preamble.`);
	const own = new Set(
		checker
			.getSymbolsInScope(file, ts.SymbolFlags.All)
			.filter(({ declarations = [] }) => declarations.some((node) => node.getSourceFile() === file))
			.map(({ name }) => name),
	);
	const names = checker
		.getExportsOfModule(module)
		.map(({ name }) => name)
		.filter((name) => !own.has(name));
	return `import { ${names.join(', ')} } from './preamble.ts'; `;
}
