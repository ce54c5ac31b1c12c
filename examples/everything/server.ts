/** A server that offers one of everything in MCP, under the names that the official conformance suite calls. */
import { ValibotJsonSchemaAdapter } from '@tmcp/adapter-valibot';
import { McpServer } from 'tmcp';
import { prompt, resource, tool } from 'tmcp/utils';
import type { GenericSchema } from 'valibot';
import * as v from 'valibot';
import { contacts, locator, RAW_SCHEMAS } from './raw-schemas.ts';
import { signedState } from './signed-state.ts';

/** A red PNG of one pixel, and a WAV of one sample. */
const PNG =
	'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const WAV = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQIAAAAAAA==';

/** Between two steps of a tool that reports what it does, in milliseconds. */
const STEP_MS = 50;

const step = () => new Promise((resolve) => setTimeout(resolve, STEP_MS));

/** Describes the schemas in `raw-schemas.ts` as they are there, and all others as valibot does. */
class Adapter extends ValibotJsonSchemaAdapter {
	override async toJsonSchema(schema: GenericSchema) {
		return RAW_SCHEMAS.get(schema) ?? super.toJsonSchema(schema);
	}
}

const Name = v.object({ name: v.string() });

/** @param stateKey signs what a client carries for a tool from one request to the next (2026-07-28) */
export function everything(stateKey: string) {
	const server = new McpServer(
		{ name: 'everything', version: '1.0.0' },
		{
			adapter: new Adapter(),
			capabilities: {
				tools: { listChanged: true },
				prompts: { listChanged: true },
				resources: { subscribe: true, listChanged: true },
				completions: {},
				logging: {},
			},
			requestStateCodec: signedState(stateKey),
		},
	);
	addContent(server);
	addReports(server);
	addQuestions(server);
	addQuestionsWithoutSession(server);
	addResources(server);
	addPrompts(server);
	return server;
}

type Server = McpServer<GenericSchema>;

/** Tools that answer with each kind of content. */
function addContent(server: Server) {
	const image = tool.media('image', PNG, 'image/png');
	server.tool({ name: 'test_simple_text', description: 'Answers with text.' }, () =>
		tool.text('This is a simple text response for testing.'),
	);
	server.tool({ name: 'test_image_content', description: 'Answers with an image.' }, () => image);
	server.tool({ name: 'test_audio_content', description: 'Answers with a sound.' }, () =>
		tool.media('audio', WAV, 'audio/wav'),
	);
	server.tool({ name: 'test_embedded_resource', description: 'Answers with a resource.' }, () =>
		tool.resource({
			uri: 'test://embedded-resource',
			mimeType: 'text/plain',
			text: 'This is an embedded resource content.',
		}),
	);
	server.tool({ name: 'test_multiple_content_types', description: 'Answers with a mixture.' }, () =>
		tool.mix([
			tool.text('Multiple content types test:'),
			image,
			tool.resource({
				uri: 'test://mixed-content-resource',
				mimeType: 'application/json',
				text: JSON.stringify({ test: 'data', value: 123 }),
			}),
		]),
	);
	server.tool({ name: 'test_error_handling', description: 'Fails.' }, () =>
		tool.error('This tool intentionally returns an error for testing'),
	);
	server.tool(
		{
			name: 'json_schema_2020_12_tool',
			description: 'Tool with JSON Schema 2020-12 features',
			schema: contacts,
		},
		(contact) => tool.text(JSON.stringify(contact)),
	);
	server.tool(
		{
			name: 'test_custom_headers',
			description: 'Wants its argument in a header too.',
			schema: locator,
		},
		(where) => tool.text(JSON.stringify(where)),
	);
}

/** Tools that tell their caller, or everybody, of something while they work. */
function addReports(server: Server) {
	const log = async () => {
		server.log('info', 'Tool execution started');
		await step();
		server.log('info', 'Tool processing data');
		await step();
		server.log('info', 'Tool execution completed');
		return tool.text('Logged three times.');
	};
	server.tool({ name: 'test_tool_with_logging', description: 'Logs what it does.' }, log);
	server.tool({ name: 'test_logging_tool', description: 'Logs what it does.' }, log);
	server.tool({ name: 'test_tool_with_progress', description: 'Reports progress.' }, async () => {
		server.progress(0, 100);
		await step();
		server.progress(50, 100);
		await step();
		server.progress(100, 100);
		return tool.text('Done.');
	});
	server.tool({ name: 'test_trigger_tool_change', description: 'Tells of changed tools.' }, () => {
		server.changed('tools');
		return tool.text('Everyone is told.');
	});
	server.tool(
		{ name: 'test_trigger_prompt_change', description: 'Tells of changed prompts.' },
		() => {
			server.changed('prompts');
			return tool.text('Everyone is told.');
		},
	);
	// tmcp lets no tool end the stream that it answers on, so that its client has to come back: it answers at once.
	server.tool({ name: 'test_reconnection', description: 'Should close its stream.' }, () =>
		tool.text('Here you are.'),
	);
}

/** Tools that ask the client of a session. */
function addQuestions(server: Server) {
	server.tool(
		{
			name: 'test_elicitation',
			description: 'Asks the user for a name and an address.',
			schema: v.object({ message: v.string() }),
		},
		async ({ message }) => {
			const user = v.object({
				username: v.pipe(v.string(), v.description("User's response")),
				email: v.pipe(v.string(), v.description("User's email address")),
			});
			const response = await server.elicitation(message, user);
			return tool.text(`User response: ${JSON.stringify(response)}`);
		},
	);
	server.tool(
		{
			name: 'test_sampling',
			description: 'Asks the model of the client.',
			schema: v.object({ prompt: v.string() }),
		},
		async ({ prompt: text }) => {
			const response = await server.message(sample(text, 100));
			return tool.text(`LLM response: ${JSON.stringify(response.content)}`);
		},
	);
	server.tool(
		{ name: 'test_elicitation_sep1034_defaults', description: 'Asks with defaults.' },
		() =>
			choose(server, {
				name: { type: 'string', default: 'John Doe' },
				age: { type: 'integer', default: 30 },
				score: { type: 'number', default: 95.5 },
				status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
				verified: { type: 'boolean', default: true },
			}),
	);
	const titled = (noun: string) =>
		['First', 'Second', 'Third'].map((nth, index) => ({
			const: `value${index + 1}`,
			title: `${nth} ${noun}`,
		}));
	const options = ['option1', 'option2', 'option3'];
	server.tool(
		{ name: 'test_elicitation_sep1330_enums', description: 'Asks to choose, in each way.' },
		() =>
			choose(server, {
				untitledSingle: { type: 'string', enum: options },
				titledSingle: { type: 'string', oneOf: titled('Option') },
				legacyEnum: {
					type: 'string',
					enum: ['opt1', 'opt2', 'opt3'],
					enumNames: ['Option One', 'Option Two', 'Option Three'],
				},
				untitledMulti: { type: 'array', items: { type: 'string', enum: options } },
				titledMulti: { type: 'array', items: { anyOf: titled('Choice') } },
			}),
	);
}

/** Asks by the low level, because no schema of valibot becomes all that JSON Schema can say. */
async function choose(server: Server, properties: Record<string, object>) {
	const requestedSchema = { type: 'object', properties };
	const response = await server.request({
		method: 'elicitation/create',
		params: { message: 'Choose.', requestedSchema },
	});
	return tool.text(`Elicitation completed: ${JSON.stringify(response)}`);
}

const sample = (text: string, maxTokens: number) => ({
	messages: [{ role: 'user' as const, content: { type: 'text' as const, text } }],
	maxTokens,
});

/** Tools that ask a client of 2026-07-28: its request ends with the questions, and comes again with the answers. */
function addQuestionsWithoutSession(server: Server) {
	const replayable = true;
	const name = () => server.elicitation('What is your name?', Name, { key: 'user_name' });
	const confirm = () =>
		server.elicitation('Please confirm', v.object({ ok: v.boolean() }), { key: 'confirm' });

	server.tool(
		{ name: 'test_missing_capability', description: 'Asks the model of the client.', replayable },
		async () => tool.text(JSON.stringify(await server.message(sample('Anything?', 1)))),
	);
	for (const tested of ['test_streaming_elicitation', 'test_input_required_result_elicitation']) {
		server.tool({ name: tested, description: 'Asks for a name.', replayable }, async () => {
			const { content } = await name();
			return tool.text(`Hello, ${content?.name}!`);
		});
	}
	server.tool(
		{ name: 'test_input_required_result_sampling', description: 'Asks the model.', replayable },
		async () => {
			const question = sample('What is the capital of France?', 100);
			const { content } = await server.message(question, { key: 'capital_question' });
			return tool.text(JSON.stringify(content));
		},
	);
	// tmcp can ask a client without a session for input of its user and its model, and not for its roots.
	server.tool(
		{ name: 'test_input_required_result_list_roots', description: 'Should ask for roots.' },
		() => tool.text(JSON.stringify(server.roots)),
	);
	server.tool(
		{ name: 'test_input_required_result_multiple_inputs', description: 'Asks twice.', replayable },
		async () => {
			server.setRequestState('asked');
			const greeting = server.message(sample('Generate a greeting', 50), { key: 'greeting' });
			const [user, greeted] = await Promise.all([name(), greeting]);
			return tool.text(JSON.stringify([user.content, greeted.content]));
		},
	);
	server.tool(
		{ name: 'test_input_required_result_request_state', description: 'Remembers.', replayable },
		async () => {
			const { requestState } = server.ctx;
			server.setRequestState('asked');
			await confirm();
			return tool.text(requestState === 'asked' ? 'state-ok' : 'state-lost');
		},
	);
	server.tool(
		{ name: 'test_input_required_result_tampered_state', description: 'Remembers.', replayable },
		async () => {
			server.setRequestState('asked');
			const { content } = await confirm();
			return tool.text(`ok: ${content?.ok}`);
		},
	);
	server.tool(
		{ name: 'test_input_required_result_multi_round', description: 'Asks again.', replayable },
		async () => {
			server.setRequestState('round 1');
			const user = await server.elicitation('Step 1: What is your name?', Name, { key: 'step1' });
			server.setRequestState('round 2');
			const Color = v.object({ color: v.string() });
			const question = 'Step 2: What is your favorite color?';
			const liked = await server.elicitation(question, Color, { key: 'step2' });
			return tool.text(`${user.content?.name} likes ${liked.content?.color}.`);
		},
	);
	server.tool(
		{ name: 'test_input_required_result_capabilities', description: 'Asks who can.', replayable },
		async () => {
			const { clientCapabilities = {} } = server.ctx.sessionInfo ?? {};
			const answers = await Promise.all([
				clientCapabilities.elicitation && name(),
				clientCapabilities.sampling && server.message(sample('Anything?', 10)),
			]);
			return tool.text(JSON.stringify(answers));
		},
	);
}

function addResources(server: Server) {
	const text = { name: 'static-text', description: 'A text.', uri: 'test://static-text' };
	server.resource({ ...text, mimeType: 'text/plain' }, (uri) =>
		resource.text(uri, 'This is the content of the static text resource.', 'text/plain'),
	);
	const binary = { name: 'static-binary', description: 'An image.', uri: 'test://static-binary' };
	server.resource({ ...binary, mimeType: 'image/png' }, (uri) =>
		resource.blob(uri, PNG, 'image/png'),
	);
	const watched = { name: 'watched', description: 'A text.', uri: 'test://watched-resource' };
	server.resource(watched, (uri) => resource.text(uri, 'Nothing new.', 'text/plain'));
	server.template(
		{ name: 'template', description: 'Data of an id.', uri: 'test://template/{id}/data' },
		(uri, { id }) => {
			const data = { id, templateTest: true, data: `Data for ID: ${String(id)}` };
			return resource.text(uri, JSON.stringify(data), 'application/json');
		},
	);
}

function addPrompts(server: Server) {
	server.prompt({ name: 'test_simple_prompt', description: 'Without arguments.' }, () =>
		prompt.text('This is a simple prompt for testing.'),
	);
	const starting = (with_: string) => ({
		completion: {
			values: ['paris', 'park', 'party'].filter((value) => value.startsWith(with_)),
			hasMore: false,
		},
	});
	server.prompt(
		{
			name: 'test_prompt_with_arguments',
			description: 'With two arguments.',
			schema: v.object({ arg1: v.string(), arg2: v.string() }),
			complete: { arg1: starting, arg2: starting },
		},
		({ arg1, arg2 }) => prompt.text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`),
	);
	server.prompt(
		{
			name: 'test_prompt_with_embedded_resource',
			description: 'With a resource.',
			schema: v.object({ resourceUri: v.string() }),
		},
		({ resourceUri: uri }) =>
			prompt.mix([
				prompt.resource({
					uri,
					mimeType: 'text/plain',
					text: 'Embedded resource content for testing.',
				}),
				prompt.text('Please process the embedded resource above.'),
			]),
	);
	server.prompt({ name: 'test_prompt_with_image', description: 'With an image.' }, () =>
		prompt.mix([
			prompt.media('image', PNG, 'image/png'),
			prompt.text('Please analyze the image above.'),
		]),
	);
	server.prompt(
		{
			name: 'test_input_required_result_prompt',
			description: 'Asks for a context.',
			replayable: true,
		},
		async () => {
			const Context = v.object({ context: v.string() });
			const question = 'What context should the prompt use?';
			const { content } = await server.elicitation(question, Context, { key: 'user_context' });
			return prompt.text(`In the context of ${content?.context}:`);
		},
	);
}
